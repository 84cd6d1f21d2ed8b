-- The total of each order is its cost plus shipping minus discount, as booked, and an order with items has a cost. Current prices are not
-- compared: a price that changes must not fail the orders before. Failing rows: orders that do not add up to the cent.
select
    order_id,
    order_cost_usd,
    shipping_cost_usd,
    discount_usd,
    order_total_usd,
    product_count
from {{ ref('fct_orders') }}
where
    order_total_usd != order_cost_usd + shipping_cost_usd - discount_usd
    or (product_count > 0) != (order_cost_usd > 0)
