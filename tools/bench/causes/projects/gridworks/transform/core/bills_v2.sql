select
    customer_id,
    date_trunc('month', day)::date as bill_month,
    count(distinct meter_no) as meters,
    count(*) as billed_days,
    min(day) as first_day,
    max(day) as last_day,
    sum(kwh) as kwh,
    sum(amount) as amount
from {{ ref('meter_days') }}
group by customer_id, date_trunc('month', day)
