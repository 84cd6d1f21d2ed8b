select
    ingredient_code,
    ingredient_name,
    supplier_code,
    pack_price / ({{ to_grams('pack_size', 'pack_unit') }}) as price_per_gram
from {{ ref('raw_ingredients') }}
