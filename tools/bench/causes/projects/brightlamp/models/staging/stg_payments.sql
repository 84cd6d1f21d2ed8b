select
    payment_id,
    order_id,
    method,
    case when kind = 'refund' then -amount else amount end as amount,
    {{ day_of('paid_at') }} as paid_on
from {{ source('raw', 'payments') }}
