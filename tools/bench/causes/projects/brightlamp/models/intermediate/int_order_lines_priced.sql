select
    lines.order_line_id,
    lines.order_id,
    orders.customer_id,
    orders.order_date,
    lines.product_id,
    lines.quantity,
    lines.quantity * lines.unit_price as amount,
    round(lines.quantity * lines.unit_price * rates.rate_to_eur, 2) as amount_eur
from {{ ref('stg_order_lines') }} as lines
inner join {{ ref('stg_orders') }} as orders on lines.order_id = orders.order_id
inner join {{ ref('int_exchange_rates') }} as rates on orders.currency = rates.currency
