with lines as (
    select order_id, sum(amount) as order_total, sum(amount_eur) as order_total_eur, count(*) as line_count
    from {{ ref('int_order_lines_priced') }}
    group by order_id
),

payments as (
    select order_id, sum(amount) as paid
    from {{ ref('stg_payments') }}
    group by order_id
)

select
    orders.order_id,
    orders.customer_id,
    orders.order_date,
    orders.status,
    lines.line_count,
    lines.order_total_eur,
    round(coalesce(payments.paid, 0) * rates.rate_to_eur, 2) as paid_eur
from {{ ref('stg_orders') }} as orders
left join lines on orders.order_id = lines.order_id
left join payments on orders.order_id = payments.order_id
left join {{ ref('int_exchange_rates') }} as rates on orders.currency = rates.currency
