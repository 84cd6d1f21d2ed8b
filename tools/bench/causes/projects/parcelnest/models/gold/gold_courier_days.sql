select
    couriers.badge,
    depots.city as depot_city,
    deliveries.delivered_at::date as day,
    count(*) as parcels,
    sum(deliveries.fee) as fees
from {{ ref('silver_deliveries') }} as deliveries
left join {{ ref('couriers_history') }} as couriers
    on deliveries.last_courier_id = couriers.courier_id and couriers.dbt_valid_to is null
left join {{ ref('bronze_depots') }} as depots on couriers.depot_id = depots.depot_id
where deliveries.delivered_at is not null
group by all
