-- Channels of each incident: the one set in meta.alerts of its node, else those of the matching routes, else the default channel.
with

contexts as (

    select * from {{ ref('fct_incident_context') }}
    where
        not is_muted
        and not is_alert_off

),

matched as (

    select
        *,
        row_number() over (
            partition by incident_id
            order by priority, channel
        ) as match_number,
        row_number() over (
            partition by incident_id, channel
            order by priority
        ) as channel_number
    from {{ matched_routes('contexts', ['incident_id']) }} as routes

),

routed as (

    select
        contexts.incident_id,
        coalesce(contexts.alert_channel, matched.channel, {{ default_channel() }}) as channel,
        {{ alert_mention('contexts.alert_mention', 'matched.mention') }} as mention,
        matched.reminder_hours,
        matched.hold_minutes,
        matched.failing_rows,
        matched.priority as route_priority
    from contexts
    left join matched
        on
            contexts.incident_id = matched.incident_id
            and matched.channel_number = 1
    -- Not a condition of the join: DuckDB would compare every pair. The first match is always the first of its channel.
    where
        contexts.alert_channel is null
        or coalesce(matched.match_number, 1) = 1

),

final as (

    select
        {{ surrogate_key(['incident_id', 'channel']) }} as incident_route_id,
        incident_id,
        channel,
        mention,
        reminder_hours,
        hold_minutes,
        route_priority,
        failing_rows as failing_row_columns
    from routed

)

select * from final
