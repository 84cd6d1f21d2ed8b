select feeder_code, day, count(*) as outages, sum(minutes) as outage_minutes
from {{ ref('base_outages') }}
group by feeder_code, day
