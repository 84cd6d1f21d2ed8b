-- Context of each incident: the build that started it, what changed since its node's last success, its node's alert settings, whether it is
-- muted or acknowledged, how often it was seen before, and whether many other incidents have the same cause.
with

incidents as (

    select * from {{ ref('fct_incidents') }}

),

nodes as (

    select * from {{ ref('dim_nodes_ever') }}

),

builds as (

    select
        project,
        environment,
        run_id,
        ended_at,
        git_sha,
        git_branch,
        repository_url,
        ci_url,
        target
    from {{ ref('fct_invocations') }}
    where is_build

),

first_runs as (

    select distinct builds.*
    from builds
    inner join incidents
        on
            builds.project = incidents.project
            and builds.environment = incidents.environment
            and builds.run_id = incidents.first_bad_invocation_id

),

changes as (

    select * from {{ ref('fct_incident_changes') }}

),

-- The same signal in the days before: how often, since when, and how long the last one took to recover.
earlier as (

    select
        incidents.incident_id,
        before.started_at,
        before.recovery_seconds,
        row_number() over (
            partition by incidents.incident_id
            order by before.started_at desc
        ) as newest_number
    from incidents
    inner join incidents as before
        on
            incidents.signal_key = before.signal_key
            and incidents.started_at > before.started_at
            and before.started_at >= {{ dbt.dateadd('day', '-' ~ var('seen_before_days'), 'incidents.started_at') }}
    -- Only of what can still be announced.
    where incidents.last_bad_at >= {{ dbt.dateadd('day', '-' ~ var('announce_max_age_days'), as_of()) }}

),

seen_before as (

    select
        incident_id,
        count(*) as seen_before_count,
        min(started_at) as seen_since,
        max(case when newest_number = 1 then recovery_seconds end) as last_recovery_seconds
    from earlier
    group by incident_id

),

-- That a source is late needs no cause but itself.
likely_causes as (

    select
        causes.incident_id,
        causes.cause
    from {{ ref('fct_incident_causes') }} as causes
    inner join incidents
        on causes.incident_id = incidents.incident_id
    where
        causes.cause_rank = 1
        and causes.is_likely
        and incidents.kind != 'source_stale'

),

-- Identical error messages in one run have one cause. A test that returned rows is not counted: its rows are its cause.
causes as (

    select
        incident_id,
        case
            when
                kind in ('node_failed', 'test_failed')
                and {{ json_text('evidence', 'failures') }} is null
                then detail
        end as cause
    from incidents

),

counted_causes as (

    select
        incidents.incident_id,
        causes.cause,
        count(*) over (
            partition by incidents.project, incidents.environment, incidents.last_bad_invocation_id, causes.cause
        ) as same_cause_count
    from incidents
    inner join causes
        on incidents.incident_id = causes.incident_id
    where causes.cause is not null

),

mutes as (

    select * from {{ ref('alert_mutes') }}
    where
        muted_until >= cast({{ as_of() }} as date)
        and coalesce(signal_key, kind, node_id) is not null

),

muted as (

    select
        incidents.incident_id,
        max(mutes.muted_until) as muted_until,
        max(mutes.reason) as mute_reason
    from incidents
    inner join mutes
        on
            incidents.signal_key = coalesce(mutes.signal_key, incidents.signal_key)
            and incidents.kind = coalesce(mutes.kind, incidents.kind)
            and (mutes.node_id is null or incidents.node_id = mutes.node_id)
    group by incidents.incident_id

),

-- An acknowledgement is of the incident whose period overlaps the one that the person saw, so that late artifacts that move an incident keep it.
-- Of several, the newest holds.
acknowledgements as (

    select
        incidents.incident_id,
        acknowledgements.acknowledged_at,
        acknowledgements.acknowledged_by,
        acknowledgements.note,
        acknowledgements.acknowledged_until,
        acknowledgements.resolution,
        row_number() over (
            partition by incidents.incident_id
            order by
                -- What only says why the incident ended leaves note and day as they were.
                case
                    when
                        acknowledgements.resolution is not null
                        and acknowledgements.note is null
                        and acknowledgements.acknowledged_until is null
                        then 1
                    else 0
                end,
                acknowledgements.acknowledged_at desc,
                acknowledgements.acknowledgement_id desc
        ) as newest_number,
        row_number() over (
            partition by incidents.incident_id
            order by
                case when acknowledgements.resolution is null then 1 else 0 end,
                acknowledgements.acknowledged_at desc,
                acknowledgements.acknowledgement_id desc
        ) as resolution_number
    from incidents
    inner join {{ ref('stg_history__acknowledgements') }} as acknowledgements
        on
            incidents.project = acknowledgements.project
            and incidents.environment = acknowledgements.environment
            and incidents.signal_key = acknowledgements.signal_key
            and incidents.last_bad_at >= acknowledgements.incident_started_at
            and incidents.started_at <= acknowledgements.incident_last_bad_at
    where acknowledgements.acknowledged_at <= {{ as_of() }}

),

acknowledged as (

    select
        incident_id,
        min(acknowledged_at) as first_acknowledged_at,
        max(case when newest_number = 1 then acknowledged_at end) as acknowledged_at,
        max(case when newest_number = 1 then acknowledged_by end) as acknowledged_by,
        max(case when newest_number = 1 then note end) as note,
        max(case when newest_number = 1 then acknowledged_until end) as acknowledged_until,
        max(case when resolution_number = 1 then resolution end) as resolution
    from acknowledgements
    group by incident_id

),

described as (

    select
        incidents.*,
        nodes.resource_type,
        nodes.package_name,
        nodes.node_name,
        nodes.path as own_path,
        nodes.test_name,
        nodes.attached_node_id,
        coalesce(tested.path, nodes.path) as path,
        coalesce(nodes.tags, '') || coalesce(tested.tags, '') as tags,
        coalesce(nodes.alert_settings, tested.alert_settings) as alert_settings,
        exposures.exposure_owners
    from incidents
    left join nodes
        on
            incidents.project = nodes.project
            and incidents.environment = nodes.environment
            and incidents.node_id = nodes.node_id
    left join nodes as tested
        on
            nodes.project = tested.project
            and nodes.environment = tested.environment
            and nodes.attached_node_id = tested.node_id
    left join {{ ref('int_exposure_owners') }} as exposures
        on
            incidents.project = exposures.project
            and incidents.environment = exposures.environment
            and coalesce(nodes.attached_node_id, incidents.node_id) = exposures.node_id

),

final as (

    select
        described.incident_id,
        described.project,
        described.environment,
        described.kind,
        described.owner,
        case
            when {{ json_text('described.alert_settings', 'severity') }} in ('error', 'warning')
                then {{ json_text('described.alert_settings', 'severity') }}
            else described.severity
        end as severity,
        described.tags,
        described.exposure_owners,
        described.path,
        -- Only models, snapshots and tests are compiled to a file.
        case
            when described.resource_type in ('model', 'snapshot') or (described.resource_type = 'test' and described.test_name is null)
                then 'target/compiled/' || described.package_name || '/' || described.own_path
            when described.resource_type = 'test'
                then 'target/compiled/' || described.package_name || '/' || described.own_path || '/' || described.node_name || '.sql'
        end as compiled_path,
        coalesce({{ json_text('described.alert_settings', 'channel') }}, {{ json_text('described.evidence', 'channel') }}) as alert_channel,
        {{ json_text('described.alert_settings', 'mention') }} as alert_mention,
        {{ is_alert_off('described.alert_settings') }} as is_alert_off,
        muted.incident_id is not null as is_muted,
        muted.muted_until,
        muted.mute_reason,
        coalesce(
            acknowledged.incident_id is not null
            and (acknowledged.acknowledged_until is null or acknowledged.acknowledged_until >= cast({{ as_of() }} as date)),
            false
        ) as is_acknowledged,
        acknowledged.acknowledged_at,
        acknowledged.acknowledged_by,
        acknowledged.note as acknowledgement_note,
        acknowledged.acknowledged_until,
        acknowledged.first_acknowledged_at,
        acknowledged.resolution,
        first_runs.run_id as first_bad_run_id,
        first_runs.git_sha,
        first_runs.git_branch,
        first_runs.repository_url,
        first_runs.ci_url,
        first_runs.target,
        changes.last_success_git_sha,
        changes.change_count,
        changes.changes,
        likely_causes.cause as likely_cause,
        cast(seen_before.seen_before_count as bigint) as seen_before_count,
        seen_before.seen_since,
        seen_before.last_recovery_seconds,
        case when counted_causes.same_cause_count >= {{ var('storm_least_incidents') }} then counted_causes.cause end as storm_cause
    from described
    left join first_runs
        on
            described.project = first_runs.project
            and described.environment = first_runs.environment
            and described.first_bad_invocation_id = first_runs.run_id
    left join changes
        on described.incident_id = changes.incident_id
    left join likely_causes
        on described.incident_id = likely_causes.incident_id
    left join seen_before
        on described.incident_id = seen_before.incident_id
    left join counted_causes
        on described.incident_id = counted_causes.incident_id
    left join muted
        on described.incident_id = muted.incident_id
    left join acknowledged
        on described.incident_id = acknowledged.incident_id

)

select * from final
