select
    lines.product_code,
    count(*) as ingredients,
    sum(lines.grams) as dough_grams,
    sum(lines.grams * costs.cost_per_gram) as ingredient_cost
from {{ ref('stg_recipe_lines') }} as lines
inner join {{ ref('int_ingredient_costs') }} as costs
    on lines.ingredient_code = costs.ingredient_code
group by lines.product_code
