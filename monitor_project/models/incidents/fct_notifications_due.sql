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

-- The first time that the monitor sees a project gives one summary.
seen_projects as (

    select
        invocations.project,
        count(*) as run_count
    from (
        select
            project,
            min(generated_at) as first_generated_at
        from {{ ref('stg_history__invocations') }}
        group by project
    ) as invocations
    inner join {{ ref('stg_history__monitor_runs') }} as monitor_runs
        on invocations.first_generated_at <= monitor_runs.as_of
    where monitor_runs.exit_code = 0
    group by invocations.project

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
        max(case when delivered.event = 'opened' then 1 else 0 end) = 1 as is_opened_said,
        max(case when delivered.event in ('resolved', 'closed') then 1 else 0 end) = 1 as is_end_said,
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

judged as (

    select
        routed.*,
        said.said_channel,
        said.opened_message_channel,
        said.opened_message_ts,
        said.last_said_at,
        case
            when
                routed.incident_status = 'open'
                and not coalesce(said.is_opened_said, false)
                and routed.last_bad_at >= {{ dbt.dateadd('day', '-' ~ var('announce_max_age_days'), as_of()) }}
                then 'opened'
            when
                routed.incident_status = 'open'
                and said.is_opened_said
                and said.last_said_at <= {{ dbt.dateadd('hour', '-routed.reminder_hours', as_of()) }}
                then 'reminder'
            when
                routed.incident_status in ('resolved', 'closed')
                and said.is_opened_said
                and not said.is_end_said
                then routed.incident_status
        end as event
    from routed
    left join said
        on
            routed.incident_id = said.incident_id
            and routed.sink = said.sink

),

final as (

    select
        {{ surrogate_key(
            ['signal_key', 'event', 'started_at', 'sink', "case when event = 'reminder' then last_said_at end"]
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
