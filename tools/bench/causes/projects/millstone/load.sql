-- The tills of the bakeries are read every hour.
create schema if not exists pos;

create or replace table pos.sales as
select
    900000 + s as sale_id,
    ['B1', 'B2', 'B3', 'B4', 'B5', 'B6'][(hash(s * 3) % 6 + 1)::integer] as bakery_code,
    (hash(s * 5) % 3 + 1)::integer as till_no,
    p.product_code,
    (hash(s * 7) % 5 + 1)::integer as qty,
    p.price::decimal(8, 2) as unit_price,
    timestamp '2026-05-04 06:10:00' + to_minutes((s // 30 * 1440 + hash(s * 11) % 600)::bigint) as sold_at,
    (now() at time zone 'utc') - interval 50 minute as read_at
from range(0, 300) as r(s)
join (
    values
    (0, 'RYE', 4.80), (1, 'WHE', 3.90), (2, 'SPE', 5.60), (3, 'CRO', 1.90),
    (4, 'BRI', 5.20), (5, 'PRE', 1.10), (6, 'CIN', 2.40), (7, 'FOC', 4.30)
) as p(n, product_code, price) on hash(s * 13) % 8 = p.n;
