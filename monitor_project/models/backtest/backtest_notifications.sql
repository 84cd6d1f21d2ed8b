-- What these rules, seeds and routes would have sent, by `offdag backtest`: for each incident and channel, its begin and its end at the next monitor
-- run of the history, and at once where there was none yet. Reminders, quiet hours, and former routes are left out.
with

monitor_runs as (

    select as_of as run_at from {{ ref('stg_history__monitor_runs') }}
    where exit_code = 0

    union

    select as_of as run_at from {{ ref('dim_monitor') }}

),

candidates as (

    select
        incidents.incident_id,
        incidents.project,
        incidents.environment,
        incidents.kind,
        incidents.signal_key,
        incidents.title,
        incidents.node_id,
        incidents.owner,
        incidents.incident_status,
        incidents.started_at,
        incidents.last_bad_at,
        incidents.ended_at,
        contexts.severity,
        routes.channel,
        {{ add_seconds('incidents.started_at', hold_seconds('routes.hold_minutes')) }} as open_from_at
    from {{ ref('fct_incidents') }} as incidents
    inner join {{ ref('fct_incident_context') }} as contexts
        on incidents.incident_id = contexts.incident_id
    inner join {{ ref('fct_incident_routes') }} as routes
        on incidents.incident_id = routes.incident_id

),

-- The next run after each instant, by one sorted pass.
instants as (

    select
        open_from_at as wanted_at,
        cast(null as {{ dbt.type_timestamp() }}) as run_at
    from candidates

    union

    select
        ended_at as wanted_at,
        cast(null as {{ dbt.type_timestamp() }}) as run_at
    from candidates
    where ended_at is not null

    union

    select
        run_at as wanted_at,
        run_at
    from monitor_runs

),

followed as (

    select
        *,
        min(run_at) over () as first_run_at,
        min(run_at) over (
            order by wanted_at, case when run_at is null then 0 else 1 end
            rows between current row and unbounded following
        ) as next_run_at
    from instants

),

sendings as (

    select
        wanted_at,
        case when wanted_at < first_run_at then wanted_at else next_run_at end as sent_at
    from followed
    where run_at is null

),

opened as (

    select
        candidates.*,
        sendings.sent_at as opened_sent_at
    from candidates
    inner join sendings
        on candidates.open_from_at = sendings.wanted_at
    where
        (candidates.ended_at is null or candidates.ended_at > sendings.sent_at)
        and (
            candidates.last_bad_at >= {{ dbt.dateadd('day', '-' ~ var('announce_max_age_days'), 'sendings.sent_at') }}
            or candidates.kind in ({{ text_list(var('clock_signal_kinds')) }})
        )

),

events as (

    select
        *,
        'opened' as event,
        opened_sent_at as sent_at
    from opened

    union all

    select
        opened.*,
        opened.incident_status as event,
        sendings.sent_at
    from opened
    inner join sendings
        on opened.ended_at = sendings.wanted_at
    where sendings.sent_at is not null

),

delivered as (

    select distinct
        events.incident_id,
        events.channel,
        events.event
    from events
    inner join {{ ref('stg_history__deliveries') }} as deliveries
        on
            events.signal_key = deliveries.signal_key
            and events.channel = deliveries.channel
            and events.event = deliveries.event
            and events.last_bad_at >= deliveries.incident_started_at
            and events.started_at <= deliveries.incident_last_bad_at
    where deliveries.outcome = 'delivered'

),

final as (

    select
        {{ surrogate_key(['events.incident_id', 'events.channel', 'events.event']) }} as backtest_notification_id,
        events.project,
        events.environment,
        events.kind,
        events.severity,
        events.signal_key,
        events.title,
        events.node_id,
        events.owner,
        events.started_at,
        events.channel,
        events.event,
        events.sent_at,
        delivered.incident_id is not null as is_delivered
    from events
    left join delivered
        on
            events.incident_id = delivered.incident_id
            and events.channel = delivered.channel
            and events.event = delivered.event

)

select * from final
