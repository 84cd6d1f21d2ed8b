-- The cost comes from prep by its full name: this model is older than the margin table.
select
    sales.bakery_code,
    bakeries.town,
    sales.sold_on,
    sum(sales.pieces) as pieces,
    sum(sales.net_revenue) as net_revenue,
    sum(sales.pieces * costs.ingredient_cost) as ingredient_cost,
    avg(margins.margin) as average_margin
from {{ ref('int_daily_sales') }} as sales
inner join {{ ref('raw_bakeries') }} as bakeries on sales.bakery_code = bakeries.bakery_code
inner join {{ ref('product_margins') }} as margins on sales.product_code = margins.product_code
left join bakery_prep.int_product_costs as costs on sales.product_code = costs.product_code
group by sales.bakery_code, bakeries.town, sales.sold_on
