select
    town,
    count(distinct bakery_code) as bakeries,
    sum(net_revenue) as net_revenue,
    sum(net_revenue - ingredient_cost) as contribution
from {{ ref('bakery_days') }}
group by town
