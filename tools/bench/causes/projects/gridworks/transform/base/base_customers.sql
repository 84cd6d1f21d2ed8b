select customer_id, customer_name, district_code
from {{ source('landing', 'customers') }}
