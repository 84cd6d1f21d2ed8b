select product_code, product_name, kind, list_price
from {{ ref('raw_products') }}
