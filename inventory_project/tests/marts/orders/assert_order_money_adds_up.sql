-- The order cost is the sum over its items, and the total is cost plus shipping minus discount. Failing rows: orders that do not add up to
-- the cent.
select
    order_id,
    order_cost_usd,
    item_cost_usd,
    order_total_usd
from {{ ref('fct_orders') }}
where
    order_cost_usd != item_cost_usd
    or order_total_usd != order_cost_usd + shipping_cost_usd - discount_usd
