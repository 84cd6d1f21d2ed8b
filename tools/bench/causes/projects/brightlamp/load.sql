-- What the shop's replication job lands in the raw schema before dbt runs.
create schema if not exists raw;

create or replace table raw.customers as
select
    c as customer_id,
    ['Ingrid', 'Tomas', 'Amelie', 'Oskar', 'Clara', 'Henrik', 'Lotte', 'Pavel', 'Nora', 'Elias'][(hash(c * 3) % 10 + 1)::integer]
        || ' '
        || ['Lindqvist', 'Novak', 'Bernard', 'Hughes', 'Maier', 'Jansen', 'Rossi'][(hash(c * 5) % 7 + 1)::integer] as full_name,
    'customer' || c || '@example.com' as email,
    ['DE', 'FR', 'SE', 'GB', 'NL', 'DK'][(hash(c * 7) % 6 + 1)::integer] as country_code,
    date '2024-02-01' + (c * 5)::integer as signed_up_on,
    (now() at time zone 'utc') - interval 3 hour as _loaded_at
from range(1, 61) as r(c);

create or replace table raw.products as
select
    p as product_id,
    format('BL-{:04d}', 1000 + p) as sku,
    ['Arc floor lamp', 'Brass desk lamp', 'Linen pendant', 'Glass sconce', 'Reading light', 'Garden lantern'][(p % 6 + 1)::integer] as product_name,
    format('{:02d}', p % 6 + 1) as family_code,
    (hash(p * 11) % 18000 + 1900)::integer as list_price_cents,
    p % 9 <> 0 as is_active,
    (now() at time zone 'utc') - interval 3 hour as _loaded_at
from range(1, 25) as r(p);

create or replace table raw.orders as
select
    50000 + o as order_id,
    (hash(o * 13) % 60 + 1)::integer as customer_id,
    timestamp '2026-03-01 08:00:00' + to_minutes((o * 410 + hash(o * 17) % 300)::bigint) as ordered_at,
    ['EUR', 'EUR', 'EUR', 'GBP', 'SEK'][(hash(o * 19) % 5 + 1)::integer] as currency,
    ['completed', 'completed', 'completed', 'shipped', 'returned'][(hash(o * 23) % 5 + 1)::integer] as status,
    (now() at time zone 'utc') - interval 2 hour as _loaded_at
from range(1, 181) as r(o);

create or replace table raw.order_lines as
select
    (o.order_id - 50000) * 10 + l as order_line_id,
    o.order_id,
    (hash(o.order_id * 29 + l) % 24 + 1)::integer as product_id,
    (hash(o.order_id * 31 + l) % 4 + 1)::integer as quantity,
    (hash(o.order_id * 37 + l) % 16000 + 1550)::integer as unit_price_cents,
    (now() at time zone 'utc') - interval 2 hour as _loaded_at
from raw.orders as o, range(1, 4) as r(l)
where l = 1 or hash(o.order_id * 41 + l) % 2 = 0;

create or replace table raw.payments as
with totals as (
    select order_id, sum(quantity * unit_price_cents) as total_cents
    from raw.order_lines
    group by order_id
)
select
    t.order_id * 10 + 1 as payment_id,
    t.order_id,
    'charge' as kind,
    ['card', 'card', 'invoice', 'paypal'][(hash(t.order_id * 43) % 4 + 1)::integer] as method,
    (t.total_cents / 100.0)::decimal(12, 2) as amount,
    o.ordered_at + interval 20 minute as paid_at,
    (now() at time zone 'utc') - interval 1 hour as _loaded_at
from totals as t
join raw.orders as o using (order_id)
where hash(t.order_id * 47) % 12 <> 0
union all
select
    t.order_id * 10 + 2,
    t.order_id,
    'refund',
    'card',
    (t.total_cents / 100.0)::decimal(12, 2),
    o.ordered_at + interval 9 day,
    (now() at time zone 'utc') - interval 1 hour
from totals as t
join raw.orders as o using (order_id)
where o.status = 'returned' and hash(t.order_id * 47) % 12 <> 0;
