select
    used.feeder_code,
    used.day,
    sum(used.kwh) as kwh,
    coalesce(max(outages.outage_minutes), 0) as outage_minutes
from {{ ref('daily_use') }} as used
left join {{ ref('feeder_outages') }} as outages
    on used.feeder_code = outages.feeder_code and used.day = outages.day
group by used.feeder_code, used.day
