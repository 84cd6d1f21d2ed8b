select
    meter_no,
    read_on,
    {{ wh_to_kwh('register_wh') }} as register_kwh
from {{ source('landing', 'readings') }}
