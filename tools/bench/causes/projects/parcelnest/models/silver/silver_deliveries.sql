with steps as (
    select
        tracking_code,
        min(scanned_at) as first_scan_at,
        max(case when is_final then scanned_at end) as delivered_at,
        max_by(courier_id, scanned_at) as last_courier_id,
        count(*) as scans
    from {{ ref('silver_scans') }}
    group by tracking_code
)

select
    parcels.parcel_id,
    parcels.zone,
    parcels.service,
    parcels.fee,
    steps.last_courier_id,
    steps.scans,
    steps.delivered_at,
    {{ hours_between('parcels.accepted_at', 'steps.delivered_at') }} as hours_to_door
from {{ ref('silver_parcels') }} as parcels
inner join steps on parcels.tracking_code = steps.tracking_code
