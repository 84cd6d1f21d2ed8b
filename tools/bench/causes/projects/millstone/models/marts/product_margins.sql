select
    products.product_code,
    products.product_name,
    products.kind,
    products.list_price,
    {{ net_of_vat('products.list_price') }} as net_price,
    round(costs.ingredient_cost, 3) as ingredient_cost,
    round(1 - costs.ingredient_cost / {{ net_of_vat('products.list_price') }}, 3) as margin
from {{ ref('stg_products') }} as products
left join {{ ref('int_product_costs') }} as costs on products.product_code = costs.product_code
