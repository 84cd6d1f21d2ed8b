select
    priced.order_line_id as order_line_key,
    priced.order_id as order_key,
    priced.customer_id as customer_key,
    products.product_key,
    products.family_name,
    priced.order_date,
    priced.quantity,
    priced.amount_eur,
    round(priced.amount_eur * products.margin_share, 2) as margin_eur
from {{ ref('int_order_lines_priced') }} as priced
inner join {{ ref('dim_product') }} as products on priced.product_id = products.product_key
