select
    parcels.parcel_id,
    parcels.tracking_code,
    parcels.origin_depot_id,
    depots.city as origin_city,
    zones.zone,
    parcels.weight_kg,
    parcels.service,
    parcels.accepted_at,
    round((zones.base_fee + 0.35 * parcels.weight_kg) * (1 + surcharges.surcharge), 2) as fee
from {{ ref('bronze_parcels') }} as parcels
inner join {{ ref('bronze_depots') }} as depots on parcels.origin_depot_id = depots.depot_id
left join {{ ref('postal_zones') }} as zones on left(parcels.destination_postcode, 1) = zones.postal_prefix
left join {{ ref('fuel_surcharges') }} as surcharges on parcels.service = surcharges.service
