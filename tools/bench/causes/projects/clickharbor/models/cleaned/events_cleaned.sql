select
    events.* exclude (ingested_at, is_bot, user_email),
    lower(trim(events.user_email)) as user_email,
    {{ url_parameter('events.page_url', 'utm_source') }} as utm_source,
    {{ url_parameter('events.page_url', 'utm_campaign') }} as utm_campaign
from {{ source('collector', 'events') }} as events
left join {{ ref('internal_visitors') }} as internal on events.anonymous_id = internal.anonymous_id
where internal.anonymous_id is null and not events.is_bot
