select
    order_id,
    customer_id,
    ordered_at,
    {{ day_of('ordered_at') }} as order_date,
    currency,
    status
from {{ source('raw', 'orders') }}
