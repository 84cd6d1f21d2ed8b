-- No order has received more money than its lines are worth.
select order_key, order_total_eur, paid_eur
from {{ ref('fct_orders') }}
where paid_eur > order_total_eur + 0.05
