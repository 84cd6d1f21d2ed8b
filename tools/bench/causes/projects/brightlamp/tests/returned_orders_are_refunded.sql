-- A returned order must not keep the customer's money.
select order_key, paid_eur
from {{ ref('fct_orders') }}
where status = 'returned' and paid_eur > 0
