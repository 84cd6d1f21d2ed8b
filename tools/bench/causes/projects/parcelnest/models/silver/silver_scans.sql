{{ config(
    materialized='incremental',
    unique_key='scan_id',
    incremental_strategy='delete+insert',
    on_schema_change='fail'
) }}

select
    scans.scan_id,
    scans.tracking_code,
    scans.courier_id,
    statuses.status_name,
    statuses.is_final,
    scans.scanned_at
from {{ ref('bronze_scans') }} as scans
inner join {{ ref('scan_statuses') }} as statuses on scans.status_code = statuses.status_code
{% if is_incremental() %}
where scans.scanned_at >= (select max(scanned_at) - interval 14 day from {{ this }})
{% endif %}
