select
    customer_id,
    full_name as customer_name,
    lower(email) as email,
    country_code,
    signed_up_on
from {{ source('raw', 'customers') }}
