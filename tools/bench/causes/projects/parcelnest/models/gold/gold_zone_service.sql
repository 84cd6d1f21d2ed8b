select
    zone,
    service,
    count(*) as parcels,
    count(delivered_at) as delivered,
    round(avg(fee), 2) as average_fee,
    round(avg(hours_to_door), 1) as average_hours,
    count(*) filter (hours_to_door > {{ var('promised_hours') }}) as late_parcels
from {{ ref('silver_deliveries') }}
group by zone, service
