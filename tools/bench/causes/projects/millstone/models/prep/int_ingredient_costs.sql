select
    ingredients.ingredient_code,
    ingredients.ingredient_name,
    suppliers.supplier_name,
    ingredients.price_per_gram * suppliers.price_level as cost_per_gram
from {{ ref('stg_ingredients') }} as ingredients
inner join {{ ref('supplier_index') }} as suppliers
    on ingredients.supplier_code = suppliers.supplier_code
