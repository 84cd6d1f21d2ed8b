select
    events.event_id as purchase_id,
    events.session_id,
    events.occurred_at as purchased_at,
    events.revenue as revenue_local,
    round(events.revenue * rates.usd, 2) as revenue_usd
from {{ ref('session_events') }} as events
left join {{ ref('dollar_rates') }} as rates on events.currency = rates.currency
where events.event_name = 'purchase'
