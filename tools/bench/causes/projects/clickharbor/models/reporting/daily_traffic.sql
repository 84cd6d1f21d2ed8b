select
    started_at::date as day,
    count(*) as visits,
    count(distinct anonymous_id) as visitors,
    round(avg(events), 2) as events_per_visit,
    max(ended_at) as newest_event_at
from {{ ref('visits') }}
group by started_at::date
