{{ config(
    materialized='external',
    location=env_var('FINANCE_EXPORT', 'exports/finance_orders.csv'),
    format='csv'
) }}

select
    orders.order_key,
    orders.order_date,
    orders.region,
    orders.order_total_eur,
    orders.paid_eur,
    orders.order_total_eur - orders.paid_eur as open_eur
from {{ ref('fct_orders') }} as orders
order by orders.order_key
