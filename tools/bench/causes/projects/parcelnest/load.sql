-- Landing zone of the parcel network: written by three extractors.
create schema if not exists landing;

create or replace table landing.depots as
select
    d as depot_id,
    ['Leipzig', 'Lyon', 'Utrecht', 'Graz', 'Malmo', 'Ghent', 'Porto', 'Turin'][d::integer] as city,
    (hash(d * 3) % 4000 + 900)::integer as daily_capacity,
    case when d in (3, 6) then 'hub' else 'branch' end as depot_kind,
    timestamp '2026-01-05 06:00:00' as changed_at,
    (now() at time zone 'utc') - interval 5 hour as extracted_at
from range(1, 9) as r(d);

create or replace table landing.couriers as
select
    c as courier_id,
    format('CR-{:03d}', c) as badge,
    (hash(c * 7) % 8 + 1)::integer as depot_id,
    ['van', 'bike', 'van', 'truck'][(hash(c * 5) % 4 + 1)::integer] as vehicle,
    timestamp '2026-01-10 06:00:00' + to_days((hash(c * 9) % 20)::integer) as changed_at,
    (now() at time zone 'utc') - interval 5 hour as extracted_at
from range(1, 31) as r(c);

create or replace table landing.parcels as
select
    700000 + p as parcel_id,
    format('PN{:08d}', 31000000 + p * 7) as tracking_code,
    (hash(p * 11) % 8 + 1)::integer as origin_depot_id,
    format('{:05d}', (p % 10) * 10000 + hash(p * 13) % 9000) as destination_postcode,
    (hash(p * 17) % 18000 + 200)::integer as weight_g,
    ['standard', 'standard', 'express'][(hash(p * 19) % 3 + 1)::integer] as service,
    timestamp '2026-02-01 07:00:00' + to_minutes((p * 95)::bigint) as accepted_at,
    (now() at time zone 'utc') - interval 2 hour as extracted_at
from range(1, 241) as r(p);

create or replace table landing.scans as
select
    (p.parcel_id - 700000) * 10 + s as scan_id,
    p.tracking_code,
    (hash(p.parcel_id * 23 + s) % 30 + 1)::integer as courier_id,
    ['ACC', 'HUB', 'OUT', 'DEL'][s::integer] as status_code,
    p.accepted_at + to_minutes((case s when 1 then 5 when 2 then 500 when 3 then 1300 else 1700 end
        + hash(p.parcel_id * 29 + s) % 300)::bigint) as scanned_at,
    (now() at time zone 'utc') - interval 1 hour as extracted_at
from landing.parcels as p, range(1, 5) as r(s)
where s < 4 or hash(p.parcel_id * 31) % 10 <> 0;
