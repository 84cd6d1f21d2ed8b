select
    region,
    date_trunc('month', order_date) as sales_month,
    count(*) as orders,
    sum(order_total_eur) as revenue_eur,
    sum(paid_eur) as paid_eur
from {{ ref('fct_orders') }}
group by region, date_trunc('month', order_date)
