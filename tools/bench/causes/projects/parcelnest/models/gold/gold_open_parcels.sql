{{ config(post_hook="copy (select * from {{ this }} order by parcel_id) to '{{ env_var('OPEN_PARCELS_FILE', 'exports/open_parcels.csv') }}' (format csv, header)") }}

select parcel_id, zone, service, last_courier_id, scans
from {{ ref('silver_deliveries') }}
where delivered_at is null
