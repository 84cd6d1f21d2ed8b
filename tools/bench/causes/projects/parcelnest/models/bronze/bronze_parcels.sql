select
    parcel_id,
    tracking_code,
    origin_depot_id,
    destination_postcode,
    {{ grams_to_kg('weight_g') }} as weight_kg,
    service,
    accepted_at
from {{ source('landing', 'parcels') }}
