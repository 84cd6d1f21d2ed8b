select
    customer_id,
    date_trunc('month', day)::date as bill_month,
    sum(kwh) as kwh,
    sum(amount) as amount
from {{ ref('meter_days') }}
group by customer_id, date_trunc('month', day)
