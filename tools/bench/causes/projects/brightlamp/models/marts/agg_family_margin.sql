select
    family_name,
    count(distinct order_key) as orders,
    sum(quantity) as units,
    sum(margin_eur) as margin_eur
from {{ ref('fct_order_lines') }}
group by family_name
