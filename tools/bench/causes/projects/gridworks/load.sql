-- The meter management and the head end of the smart meters write here at night.
create schema if not exists landing;

create or replace table landing.customers as
select
    c::integer as customer_id,
    ['Family', 'Bakery', 'Workshop', 'Practice', 'Studio'][(hash(c * 3) % 5 + 1)::integer]
        || ' '
        || ['Ashdown', 'Brook', 'Carver', 'Dunmore', 'Elwood', 'Fenwick', 'Garrick'][(hash(c * 5) % 7 + 1)::integer] as customer_name,
    'D' || (c % 4 + 1) as district_code,
    (now() at time zone 'utc') - interval 8 hour as loaded_at
from range(1, 21) as r(c);

create or replace table landing.meters as
select
    format('M{:04d}', m) as meter_no,
    ((m - 1) % 20 + 1)::integer as customer_id,
    format('F{:02d}', m % 5 + 1) as feeder_code,
    ['T1', 'T1', 'T2', 'T3'][(hash(m * 7) % 4 + 1)::integer] as tariff_code,
    case when m % 3 = 0 then 'south' else 'north' end as price_zone,
    case when m > 20 then 20 end as ct_ratio,
    (now() at time zone 'utc') - interval 8 hour as loaded_at
from range(1, 25) as r(m);

create or replace table landing.readings as
select
    m.meter_no,
    date '2026-06-01' + d::integer as read_on,
    (1000000 + hash(m.meter_no) % 500000 + d * (case when m.ct_ratio is null then 8000 else 700 end)
        + hash(m.meter_no || d) % (case when m.ct_ratio is null then 4000 else 200 end))::bigint as register_wh,
    (now() at time zone 'utc') - interval 6 hour as loaded_at
from landing.meters as m, range(0, 12) as r(d);
