select
    date_trunc('month', day) as month,
    depot_city,
    sum(parcels) as parcels,
    sum(fees) as fees
from {{ ref('gold_courier_days') }}
group by all
