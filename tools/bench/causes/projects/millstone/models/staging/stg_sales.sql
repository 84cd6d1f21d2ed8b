select
    sale_id,
    bakery_code,
    product_code,
    qty as pieces,
    unit_price,
    sold_at::date as sold_on
from {{ source('pos', 'sales') }}
