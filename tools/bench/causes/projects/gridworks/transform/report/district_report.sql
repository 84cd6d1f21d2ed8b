select
    customers.district_code,
    districts.district_name,
    count(*) as customers,
    sum(bills.billed_days) as billed_days,
    sum(bills.amount) as amount,
    sum(bills.kwh) / sum(bills.billed_days) as kwh_per_day
from {{ ref('bills') }} as bills
inner join {{ ref('base_customers') }} as customers on bills.customer_id = customers.customer_id
left join {{ ref('districts') }} as districts on customers.district_code = districts.district_code
group by customers.district_code, districts.district_name
