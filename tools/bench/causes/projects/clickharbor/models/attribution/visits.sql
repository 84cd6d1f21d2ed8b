select
    session_id,
    any_value(anonymous_id) as anonymous_id,
    min(occurred_at) as started_at,
    max(occurred_at) as ended_at,
    count(*) as events,
    count(*) filter (event_name = 'purchase') as purchases,
    min_by(utm_source, occurred_at) as source,
    min_by(utm_campaign, occurred_at) as campaign_code,
    min_by(page_path, occurred_at) as landing_page
from {{ ref('session_events') }}
group by session_id
