select
    paid.order_id as order_key,
    customers.customer_key,
    customers.region,
    paid.order_date,
    paid.status,
    paid.line_count,
    paid.order_total_eur,
    paid.paid_eur
from {{ ref('int_orders_paid') }} as paid
inner join {{ ref('dim_customer') }} as customers on paid.customer_id = customers.customer_key
