select
    meter_no,
    customer_id,
    feeder_code,
    tariff_code,
    price_zone,
    coalesce(ct_ratio, 1) as ct_ratio
from {{ source('landing', 'meters') }}
