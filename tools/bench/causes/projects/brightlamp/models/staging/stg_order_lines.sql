select
    order_line_id,
    order_id,
    product_id,
    quantity,
    {{ cents_to_units('unit_price_cents') }} as unit_price
from {{ source('raw', 'order_lines') }}
