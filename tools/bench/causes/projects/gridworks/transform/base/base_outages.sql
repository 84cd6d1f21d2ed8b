select
    outage_no,
    feeder_code,
    began_at::date as day,
    {{ minutes_between('began_at', 'ended_at') }} as minutes,
    reason
from {{ source('files', 'outages') }}
