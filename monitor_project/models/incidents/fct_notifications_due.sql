-- Incidents x sinks x channels, less what has been delivered. A delivery belongs to an incident if the period it reported overlaps the
-- incident's, so that an incident that late artifacts move or split is not announced again. Besides them the weekly digests that were not delivered.
with

incidents as (

    select
        incidents.*,
        contexts.severity as routed_severity,
        contexts.compiled_path,
        contexts.git_sha,
        contexts.repository_url,
        contexts.ci_url,
        contexts.target,
        contexts.last_success_git_sha,
        contexts.change_count,
        contexts.changes,
        contexts.likely_cause,
        contexts.seen_before_count,
        contexts.seen_since,
        contexts.last_recovery_seconds,
        contexts.storm_cause,
        contexts.is_acknowledged
    from {{ ref('fct_incidents') }} as incidents
    inner join {{ ref('fct_incident_context') }} as contexts
        on incidents.incident_id = contexts.incident_id
    where
        not contexts.is_muted
        and not contexts.is_alert_off

),

routes as (

    select
        *,
        {{ service_of('channel') }} as service
    from {{ ref('fct_incident_routes') }}

),

delivered as (

    select * from {{ ref('stg_history__deliveries') }}
    where outcome = 'delivered'

),

-- A service gets only what is routed to it, and the others all that is not.
sinks as (

    {%- for sink in var('delivery_sinks') + var('services') %}
    select
        '{{ sink }}' as sink,
        '{{ sink if sink in var('services') else '' }}' as service
    {{ 'union all' if not loop.last }}
    {%- endfor %}

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

-- Projects that a successful monitor run has already covered. All others are announced as a first report, however old their data is.
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

sent as (

    select
        incidents.incident_id,
        delivered.sink,
        delivered.channel,
        max(case when delivered.event = 'opened' then delivered.delivered_at end) as opened_sent_at,
        max(case when delivered.event = 'opened' and delivered.severity = 'error' then 1 else 0 end) = 1 as is_error_sent,
        max(case when delivered.event in ('resolved', 'closed') then delivered.delivered_at end) as end_sent_at,
        max(case when delivered.event in ('resolved', 'closed') then delivered.incident_last_bad_at end) as end_sent_last_bad_at,
        max(case when delivered.event in ('opened', 'reminder') then delivered.delivered_at end) as last_sent_at,
        max(case when delivered.event = 'opened' then delivered.message_channel end) as opened_message_channel,
        max(case when delivered.event = 'opened' then delivered.message_ts end) as opened_message_ts
    from incidents
    inner join delivered
        on
            incidents.signal_key = delivered.signal_key
            and incidents.last_bad_at >= delivered.incident_started_at
            and incidents.started_at <= delivered.incident_last_bad_at
    group by incidents.incident_id, delivered.sink, delivered.channel

),

-- An incident counts as announced until its end is sent.
sent_states as (

    select
        *,
        opened_sent_at is not null and (end_sent_at is null or opened_sent_at > end_sent_at) as is_opened_sent
    from sent

),

-- Signals with an announced open incident. If late artifacts split a resolved incident off it, its end is not sent.
still_open as (

    select distinct
        incidents.signal_key,
        sent_states.sink,
        sent_states.channel
    from incidents
    inner join sent_states
        on incidents.incident_id = sent_states.incident_id
    where
        incidents.incident_status = 'open'
        and sent_states.is_opened_sent

),

-- Routed channels, and channels that are no longer routed but where the incident was announced: its end is sent there too.
destinations as (

    select
        routes.incident_id,
        sinks.sink,
        routes.channel,
        routes.mention,
        routes.reminder_hours,
        routes.hold_minutes,
        routes.route_priority,
        true as is_routed
    from routes
    inner join sinks
        on routes.service = sinks.service

    union all

    select
        sent_states.incident_id,
        sent_states.sink,
        sent_states.channel,
        min(routes.mention) as mention,
        min(routes.reminder_hours) as reminder_hours,
        cast(null as bigint) as hold_minutes,
        min(routes.route_priority) as route_priority,
        false as is_routed
    from sent_states
    inner join routes
        on sent_states.incident_id = routes.incident_id
    where sent_states.is_opened_sent
    group by sent_states.incident_id, sent_states.sink, sent_states.channel
    having max(case when sent_states.channel = routes.channel then 1 else 0 end) = 0

),

-- A changed route does not announce the incident again in the new channel, but a warning that became an error is announced there.
moved as (

    select
        destinations.incident_id,
        destinations.sink,
        incidents.routed_severity = 'error' and max(case when sent_states.is_error_sent then 1 else 0 end) = 0 as is_worse
    from destinations
    inner join sent_states
        on
            destinations.incident_id = sent_states.incident_id
            and destinations.sink = sent_states.sink
            and destinations.channel = sent_states.channel
    inner join incidents
        on destinations.incident_id = incidents.incident_id
    where not destinations.is_routed
    group by destinations.incident_id, destinations.sink, incidents.routed_severity

),

routed as (

    select
        incidents.*,
        destinations.sink,
        destinations.channel,
        destinations.mention,
        destinations.reminder_hours,
        {{ hold_seconds('destinations.hold_minutes') }} as hold_seconds,
        quiet_routes.priority is not null as is_quiet,
        destinations.is_routed and coalesce(moved.is_worse, true) as may_open,
        destinations.is_routed or not moved.is_worse as may_remind,
        seen_projects.run_count is null as is_first_report
    from incidents
    inner join destinations
        on incidents.incident_id = destinations.incident_id
    left join moved
        on
            destinations.incident_id = moved.incident_id
            and destinations.sink = moved.sink
    left join seen_projects
        on incidents.project = seen_projects.project
    left join {{ ref('int_quiet_routes') }} as quiet_routes
        on destinations.route_priority = quiet_routes.priority

),

judged as (

    select
        routed.*,
        sent_states.opened_message_channel,
        sent_states.opened_message_ts,
        failing_rows.failing_rows,
        sent_states.last_sent_at,
        sent_states.end_sent_at,
        coalesce(sent_states.is_error_sent, false) as is_error_sent,
        case
            when
                routed.incident_status = 'open'
                and routed.may_open
                and not coalesce(sent_states.is_opened_sent, false)
                and (sent_states.end_sent_last_bad_at is null or routed.last_bad_at > sent_states.end_sent_last_bad_at)
                and {{ add_seconds('routed.started_at', 'routed.hold_seconds') }} <= {{ as_of() }}
                -- What the clock shows is true now, however long ago it began.
                and (
                    routed.last_bad_at >= {{ dbt.dateadd('day', '-' ~ var('announce_max_age_days'), as_of()) }}
                    or routed.kind in ({{ text_list(var('clock_signal_kinds')) }})
                )
                then 'opened'
            -- A warning that became an error is announced again.
            when
                routed.incident_status = 'open'
                and sent_states.is_opened_sent
                and routed.may_open
                and routed.routed_severity = 'error'
                and not sent_states.is_error_sent
                then 'opened'
            when
                routed.incident_status = 'open'
                and sent_states.is_opened_sent
                and routed.may_remind
                and not routed.is_acknowledged
                and sent_states.last_sent_at <= {{ dbt.dateadd('hour', '-routed.reminder_hours', as_of()) }}
                then 'reminder'
            when
                routed.incident_status in ('resolved', 'closed')
                and sent_states.is_opened_sent
                and still_open.signal_key is null
                then routed.incident_status
        end as event
    from routed
    left join sent_states
        on
            routed.incident_id = sent_states.incident_id
            and routed.sink = sent_states.sink
            and routed.channel = sent_states.channel
    left join {{ ref('int_incident_rows') }} as failing_rows
        on
            routed.incident_id = failing_rows.incident_id
            and routed.channel = failing_rows.channel
    left join still_open
        on
            routed.signal_key = still_open.signal_key
            and routed.sink = still_open.sink
            and routed.channel = still_open.channel

),

incident_notifications as (

    select
        {{ surrogate_key(
            ['signal_key', 'event', 'routed_severity', 'started_at', 'sink', 'channel', 'end_sent_at', "case when event = 'reminder' then last_sent_at end"]
        ) }} as notification_id,
        sink,
        channel,
        mention,
        event,
        is_first_report,
        incident_id,
        signal_key,
        kind,
        project,
        environment,
        routed_severity as severity,
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
        compiled_path,
        git_sha,
        repository_url,
        ci_url,
        target,
        last_success_git_sha,
        change_count,
        changes,
        likely_cause,
        seen_before_count,
        seen_since,
        last_recovery_seconds,
        failing_rows,
        storm_cause,
        opened_message_channel,
        opened_message_ts
    from judged
    where
        event is not null
        -- In quiet hours, warnings and reminders wait. What was sent as an error ends as one.
        and not (is_quiet and (event = 'reminder' or (routed_severity != 'error' and (event = 'opened' or not is_error_sent))))

),

digest_notifications as (

    select
        {{ surrogate_key(["'digest'", 'digests.weekly_digest_id', 'sinks.sink']) }} as notification_id,
        sinks.sink,
        digests.channel,
        cast(null as {{ dbt.type_string() }}) as mention,
        'digest' as event,
        false as is_first_report,
        '' as incident_id,
        digests.weekly_digest_id as signal_key,
        'weekly_digest' as kind,
        '' as project,
        '' as environment,
        'warning' as severity,
        'week to ' || cast(digests.last_day as {{ dbt.type_string() }}) || ': ' || digests.new_count || ' new, '
        || digests.open_count || ' still open, ' || digests.resolved_count || ' recovered'
        || case when digests.closed_count > 0 then ', ' || digests.closed_count || ' closed' else '' end as title,
        cast(null as {{ dbt.type_string() }}) as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        cast(null as {{ dbt.type_string() }}) as owner,
        {{ json_object({'flaky': 'digests.flaky_count', 'slow': 'digests.slow_count', 'owners': 'digests.owners', 'oldest_open': 'digests.oldest_open', 'cost_of_all_projects': 'digests.cost'}) }} as evidence,
        cast(null as {{ dbt.type_string() }}) as closed_reason,
        digests.week_started_at as started_at,
        digests.week_ended_at as last_bad_at,
        cast(null as {{ dbt.type_timestamp() }}) as ended_at,
        cast(1 as bigint) as bad_count,
        cast(null as {{ dbt.type_string() }}) as compiled_path,
        cast(null as {{ dbt.type_string() }}) as git_sha,
        cast(null as {{ dbt.type_string() }}) as repository_url,
        cast(null as {{ dbt.type_string() }}) as ci_url,
        cast(null as {{ dbt.type_string() }}) as target,
        cast(null as {{ dbt.type_string() }}) as last_success_git_sha,
        cast(null as bigint) as change_count,
        cast(null as {{ dbt.type_string() }}) as changes,
        cast(null as {{ dbt.type_string() }}) as likely_cause,
        cast(null as bigint) as seen_before_count,
        cast(null as {{ dbt.type_timestamp() }}) as seen_since,
        cast(null as bigint) as last_recovery_seconds,
        cast(null as {{ dbt.type_string() }}) as failing_rows,
        cast(null as {{ dbt.type_string() }}) as storm_cause,
        cast(null as {{ dbt.type_string() }}) as opened_message_channel,
        cast(null as {{ dbt.type_string() }}) as opened_message_ts
    from {{ ref('int_weekly_digests') }} as digests
    inner join sinks
        on digests.service = sinks.service
    left join {{ ref('int_quiet_routes') }} as quiet_routes
        on digests.route_priority = quiet_routes.priority
    where quiet_routes.priority is null

),

-- Of a week that a delivered digest of the channel covers for the most part, as after a change of weekday or time zone, there is no second one.
covered_digests as (

    select distinct digest_notifications.notification_id
    from digest_notifications
    inner join delivered
        on
            digest_notifications.sink = delivered.sink
            and digest_notifications.channel = delivered.channel
    where
        delivered.event = 'digest'
        and delivered.incident_last_bad_at > {{ dbt.dateadd('day', -6, 'digest_notifications.last_bad_at') }}

),

final as (

    select * from incident_notifications

    union all

    select digest_notifications.*
    from digest_notifications
    left join covered_digests
        on digest_notifications.notification_id = covered_digests.notification_id
    where covered_digests.notification_id is null

)

select * from final
