-- Messages in which an open incident was announced, while nobody acknowledged it. A delivery belongs to an incident as in fct_notifications_due.
with

incidents as (

    select incidents.*
    from {{ ref('fct_incidents') }} as incidents
    inner join {{ ref('fct_incident_context') }} as contexts
        on incidents.incident_id = contexts.incident_id
    where
        incidents.incident_status = 'open'
        and not contexts.is_acknowledged

),

messages as (

    select
        signal_key,
        message_channel,
        message_ts,
        min(incident_started_at) as first_started_at,
        max(incident_last_bad_at) as last_bad_at
    from {{ ref('stg_history__deliveries') }}
    where
        outcome = 'delivered'
        and event = 'opened'
        and message_channel is not null
        and message_ts is not null
    group by signal_key, message_channel, message_ts

),

final as (

    select
        {{ surrogate_key(['incidents.incident_id', 'messages.message_channel', 'messages.message_ts']) }} as open_message_id,
        incidents.incident_id,
        incidents.signal_key,
        incidents.project,
        incidents.environment,
        incidents.started_at,
        incidents.last_bad_at,
        incidents.title,
        messages.message_channel,
        messages.message_ts
    from incidents
    inner join messages
        on
            incidents.signal_key = messages.signal_key
            and incidents.last_bad_at >= messages.first_started_at
            and incidents.started_at <= messages.last_bad_at

)

select * from final
