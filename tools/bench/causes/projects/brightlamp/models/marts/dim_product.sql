select
    products.product_id as product_key,
    products.sku,
    products.product_name,
    families.family_name,
    families.margin_share,
    products.list_price_cents / 100.0 as list_price_eur,
    products.is_active
from {{ ref('stg_products') }} as products
left join {{ ref('product_families') }} as families on products.family_code = families.family_code
