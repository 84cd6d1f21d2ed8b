with used as (
    select
        sales.bakery_code,
        lines.ingredient_code,
        sum(sales.pieces * lines.grams) / 1000.0 as kilograms
    from {{ ref('int_daily_sales') }} as sales
    inner join {{ ref('stg_recipe_lines') }} as lines on sales.product_code = lines.product_code
    where lines.ingredient_code in ('RYF', 'WHF', 'SPF')
    group by sales.bakery_code, lines.ingredient_code
)

select
    bakery_code,
    ingredient_code,
    kilograms,
    ceil(kilograms / {{ var('flour_bag_kg') }})::integer as bags
from used
