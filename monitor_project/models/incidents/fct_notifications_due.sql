-- Incidents x sinks x routes x mutes, less what has been delivered. A delivery belongs to an incident where the time that it spoke of
-- overlaps the incident: so what late artifacts move or split is not said again.
with

incidents as (

    select * from {{ ref('fct_incidents') }}

),

routes as (

    select * from {{ ref('alert_routes') }}

),

mutes as (

    select * from {{ ref('alert_mutes') }}
    where muted_until >= cast({{ as_of() }} as date)

),

delivered as (

    select * from {{ ref('stg_history__deliveries') }}
    where outcome = 'delivered'

),

sinks as (

    {%- for sink in var('delivery_sinks') %}
    select '{{ sink }}' as sink
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

unmuted as (

    select incidents.*
    from incidents
    where not exists (
        select 1
        from mutes
        where
            coalesce(mutes.signal_key, incidents.signal_key) = incidents.signal_key
            and coalesce(mutes.kind, incidents.kind) = incidents.kind
            and (mutes.node_id is null or mutes.node_id = incidents.node_id)
            and coalesce(mutes.signal_key, mutes.kind, mutes.node_id) is not null
    )

),

matched as (

    select
        unmuted.incident_id,
        routes.channel,
        routes.mention,
        routes.reminder_hours,
        row_number() over (
            partition by unmuted.incident_id
            order by routes.priority, routes.channel
        ) as match_number
    from unmuted
    inner join routes
        on
            unmuted.kind = coalesce(routes.kind, unmuted.kind)
            and unmuted.severity = coalesce(routes.severity, unmuted.severity)
            and unmuted.project = coalesce(routes.project, unmuted.project)
            and unmuted.environment = coalesce(routes.environment, unmuted.environment)
            and (routes.owner is null or unmuted.owner = routes.owner)

),

arrivals as (

    select
        project,
        collected_at as arrived_at
    from {{ ref('stg_history__artifact_verdicts') }}

    union all

    select
        project,
        ended_at as arrived_at
    from {{ ref('stg_history__job_runs') }}

),

first_arrivals as (

    select
        project,
        min(arrived_at) as first_arrived_at
    from arrivals
    group by project

),

-- A project that no monitor run could see before gives one summary, however old what it brings is.
seen_projects as (

    select
        first_arrivals.project,
        count(*) as run_count
    from first_arrivals
    inner join {{ ref('stg_history__monitor_runs') }} as monitor_runs
        on first_arrivals.first_arrived_at <= monitor_runs.started_at
    where monitor_runs.exit_code = 0
    group by first_arrivals.project

),

routed as (

    select
        unmuted.*,
        sinks.sink,
        coalesce(matched.channel, '{{ var("default_channel") }}') as channel,
        matched.mention,
        matched.reminder_hours,
        seen_projects.run_count is null as is_first_look
    from unmuted
    cross join sinks
    left join matched
        on
            unmuted.incident_id = matched.incident_id
            and matched.match_number = 1
    left join seen_projects
        on unmuted.project = seen_projects.project

),

said as (

    select
        routed.incident_id,
        routed.sink,
        max(case when delivered.event = 'opened' then delivered.delivered_at end) as opened_said_at,
        max(case when delivered.event = 'opened' and delivered.severity = 'error' then 1 else 0 end) = 1 as is_error_said,
        max(case when delivered.event in ('resolved', 'closed') then delivered.delivered_at end) as end_said_at,
        max(case when delivered.event in ('resolved', 'closed') then delivered.incident_last_bad_at end) as end_said_last_bad_at,
        max(case when delivered.event in ('opened', 'reminder') then delivered.delivered_at end) as last_said_at,
        max(case when delivered.event = 'opened' then delivered.channel end) as said_channel,
        max(case when delivered.event = 'opened' then delivered.message_channel end) as opened_message_channel,
        max(case when delivered.event = 'opened' then delivered.message_ts end) as opened_message_ts
    from routed
    inner join delivered
        on
            routed.signal_key = delivered.signal_key
            and routed.sink = delivered.sink
            and routed.last_bad_at >= delivered.incident_started_at
            and routed.started_at <= delivered.incident_last_bad_at
    group by routed.incident_id, routed.sink

),

-- "Opened" holds until an end was said and the thing was bad again after it.
known as (

    select
        *,
        opened_said_at is not null and (end_said_at is null or opened_said_at > end_said_at) as is_opened_said
    from said

),

-- Things whose open incident was said: late artifacts may have split an end off it, and it is not over.
still_open as (

    select distinct
        routed.signal_key,
        routed.sink
    from routed
    inner join known
        on
            routed.incident_id = known.incident_id
            and routed.sink = known.sink
    where
        routed.incident_status = 'open'
        and known.is_opened_said

),

judged as (

    select
        routed.*,
        known.said_channel,
        known.opened_message_channel,
        known.opened_message_ts,
        known.last_said_at,
        known.end_said_at,
        case
            when
                routed.incident_status = 'open'
                and not coalesce(known.is_opened_said, false)
                and (known.end_said_last_bad_at is null or routed.last_bad_at > known.end_said_last_bad_at)
                and routed.last_bad_at >= {{ dbt.dateadd('day', '-' ~ var('announce_max_age_days'), as_of()) }}
                then 'opened'
            -- A warning that grew to an error is news.
            when
                routed.incident_status = 'open'
                and known.is_opened_said
                and routed.severity = 'error'
                and not known.is_error_said
                then 'opened'
            when
                routed.incident_status = 'open'
                and known.is_opened_said
                and known.last_said_at <= {{ dbt.dateadd('hour', '-routed.reminder_hours', as_of()) }}
                then 'reminder'
            when
                routed.incident_status in ('resolved', 'closed')
                and known.is_opened_said
                and still_open.signal_key is null
                then routed.incident_status
        end as event
    from routed
    left join known
        on
            routed.incident_id = known.incident_id
            and routed.sink = known.sink
    left join still_open
        on
            routed.signal_key = still_open.signal_key
            and routed.sink = still_open.sink

),

final as (

    select
        {{ surrogate_key(
            ['signal_key', 'event', 'severity', 'started_at', 'sink', 'end_said_at', "case when event = 'reminder' then last_said_at end"]
        ) }} as notification_id,
        sink,
        -- What was announced in a channel ends there, whatever the routes say now.
        coalesce(said_channel, channel) as channel,
        mention,
        event,
        is_first_look,
        incident_id,
        signal_key,
        kind,
        project,
        environment,
        severity,
        title,
        detail,
        node_id,
        owner,
        evidence,
        closed_reason,
        started_at,
        last_bad_at,
        ended_at,
        bad_count,
        opened_message_channel,
        opened_message_ts
    from judged
    where event is not null

)

select * from final
