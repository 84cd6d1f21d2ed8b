select
    product_code,
    ingredient_code,
    {{ to_grams('amount', 'unit') }} as grams
from {{ ref('raw_recipe_lines') }}
