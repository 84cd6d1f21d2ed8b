select
    customers.customer_id as customer_key,
    customers.customer_name,
    customers.country_code,
    regions.country_name,
    regions.region,
    customers.signed_up_on
from {{ ref('stg_customers') }} as customers
left join {{ ref('country_regions') }} as regions on customers.country_code = regions.country_code
