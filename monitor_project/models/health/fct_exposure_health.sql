-- Whether each exposure can be trusted now: degraded by an open error or a failed model upstream, caution by a warning, a missing build, a
-- source that is not known to be fresh or a model without a recent success, unknown without evidence. A muted incident still counts: the data
-- are as bad. A flaky test, a slow model and a check of an observed table say nothing about the data behind an exposure.
with

nodes as (

    select * from {{ ref('dim_nodes') }}

),

edges as (

    select distinct
        project,
        environment,
        parent_id,
        child_id
    from {{ ref('fct_lineage_edges') }}

),

exposures as (

    select
        project,
        environment,
        node_id,
        node_name,
        owner
    from nodes
    where resource_type = 'exposure'

),

upstream as (

    select * from {{ ref('int_exposure_upstream') }}

),

incidents as (

    select
        incidents.project,
        incidents.environment,
        incidents.kind,
        incidents.node_id,
        incidents.title,
        incidents.started_at,
        incidents.incident_id,
        case when context.severity = 'error' and incidents.kind not in ('run_missing', 'model_stale') then 2 else 1 end as badness
    from {{ ref('fct_incidents') }} as incidents
    inner join {{ ref('fct_incident_context') }} as context
        on incidents.incident_id = context.incident_id
    where
        incidents.incident_status = 'open'
        and incidents.kind in (
            'node_failed', 'test_failed', 'source_stale', 'source_unchecked', 'schema_changed', 'volume_odd',
            'mass_failure', 'run_incomplete', 'run_missing', 'model_stale', 'node_drop'
        )

),

nodes_ever as (

    select * from {{ ref('dim_nodes_ever') }}

),

-- A failed test is about the node that it is attached to; a singular one about each node that it reads.
affected as (

    select
        incidents.*,
        coalesce(nodes_ever.attached_node_id, incidents.node_id) as affected_node_id
    from incidents
    left join nodes_ever
        on
            incidents.project = nodes_ever.project
            and incidents.environment = nodes_ever.environment
            and incidents.node_id = nodes_ever.node_id
    where incidents.node_id is not null

    union all

    select
        incidents.*,
        edges.parent_id as affected_node_id
    from incidents
    inner join nodes_ever
        on
            incidents.project = nodes_ever.project
            and incidents.environment = nodes_ever.environment
            and incidents.node_id = nodes_ever.node_id
    inner join edges
        on
            incidents.project = edges.project
            and incidents.environment = edges.environment
            and incidents.node_id = edges.child_id
    where
        nodes_ever.resource_type = 'test'
        and nodes_ever.attached_node_id is null

),

problems as (

    select distinct
        upstream.project,
        upstream.environment,
        upstream.exposure_id,
        affected.incident_id,
        affected.title,
        affected.started_at,
        affected.badness
    from upstream
    inner join affected
        on
            upstream.project = affected.project
            and upstream.environment = affected.environment
            and upstream.node_id = affected.affected_node_id

    union all

    select
        exposures.project,
        exposures.environment,
        exposures.node_id as exposure_id,
        incidents.incident_id,
        incidents.title,
        incidents.started_at,
        incidents.badness
    from exposures
    inner join incidents
        on
            exposures.project = incidents.project
            and exposures.environment = incidents.environment
    -- A hook is no node upstream, but after it nothing may have run.
    where incidents.node_id is null or incidents.node_id like 'operation.%'

),

ranked as (

    select
        *,
        row_number() over (
            partition by project, environment, exposure_id
            order by badness desc, started_at asc, incident_id asc
        ) as worst_number,
        count(*) over (partition by project, environment, exposure_id) as incident_count
    from problems

),

worst as (

    select * from ranked
    where worst_number = 1

),

successes as (

    select
        project,
        environment,
        node_id,
        max(observed_at) as last_success_at
    from {{ ref('fct_model_durations') }}
    where is_latest
    group by project, environment, node_id

),

counted as (

    select
        upstream.project,
        upstream.environment,
        upstream.exposure_id,
        count(nodes.node_id) as upstream_count,
        sum(case when nodes.node_id is null and (upstream.node_id like 'metric.%' or upstream.node_id like 'semantic_model.%') then 1 else 0 end)
            as unfollowed_count,
        sum(case when nodes.resource_type = 'source' then 1 else 0 end) as source_count,
        sum(case when states.source_state in ('late', 'stale', 'unknown') then 1 else 0 end) as unsure_source_count,
        sum(case when failed_nodes.node_id is not null then 1 else 0 end) as failed_count,
        sum(case when nodes.resource_type in ('model', 'snapshot', 'seed') then 1 else 0 end) as built_type_count,
        sum(
            case
                when nodes.resource_type in ('model', 'snapshot', 'seed') and successes.node_id is null then 1
                else 0
            end
        ) as without_success_count,
        min(successes.last_success_at) as oldest_success_at
    from upstream
    left join nodes
        on
            upstream.project = nodes.project
            and upstream.environment = nodes.environment
            and upstream.node_id = nodes.node_id
    left join {{ ref('fct_source_states') }} as states
        on
            upstream.project = states.project
            and upstream.environment = states.environment
            and upstream.node_id = states.node_id
    left join {{ ref('int_failed_nodes') }} as failed_nodes
        on
            upstream.project = failed_nodes.project
            and upstream.environment = failed_nodes.environment
            and upstream.node_id = failed_nodes.node_id
    left join successes
        on
            upstream.project = successes.project
            and upstream.environment = successes.environment
            and upstream.node_id = successes.node_id
    where coalesce(nodes.materialization, '') != 'ephemeral'
    group by upstream.project, upstream.environment, upstream.exposure_id

),

described as (

    select
        exposures.*,
        environments.is_alerting,
        coalesce(last_jobs.is_silent, true) as is_silent,
        worst.incident_id,
        worst.title,
        worst.started_at,
        worst.badness,
        coalesce(worst.incident_count, 0) as incident_count,
        coalesce(counted.upstream_count, 0) as upstream_count,
        coalesce(counted.unfollowed_count, 0) as unfollowed_count,
        coalesce(counted.source_count, 0) as source_count,
        coalesce(counted.unsure_source_count, 0) as unsure_source_count,
        coalesce(counted.failed_count, 0) as failed_count,
        coalesce(counted.built_type_count, 0) as built_type_count,
        coalesce(counted.without_success_count, 0) as without_success_count,
        counted.oldest_success_at
    from exposures
    left join {{ ref('dim_environments') }} as environments
        on
            exposures.project = environments.project
            and exposures.environment = environments.environment
    left join {{ ref('int_last_jobs') }} as last_jobs
        on
            exposures.project = last_jobs.project
            and exposures.environment = last_jobs.environment
    left join counted
        on
            exposures.project = counted.project
            and exposures.environment = counted.environment
            and exposures.node_id = counted.exposure_id
    left join worst
        on
            exposures.project = worst.project
            and exposures.environment = worst.environment
            and exposures.node_id = worst.exposure_id

),

final as (

    select
        project,
        environment,
        node_id,
        node_name,
        owner,
        case
            when badness = 2 or failed_count > 0 then 'degraded'
            when
                not coalesce(is_alerting, false)
                or is_silent
                or upstream_count = 0
                or (built_type_count > 0 and without_success_count = built_type_count)
                then 'unknown'
            when badness = 1 or without_success_count + unsure_source_count + unfollowed_count > 0 then 'caution'
            else 'healthy'
        end as health,
        case
            when badness = 2 then title
            when failed_count > 0
                then cast(failed_count as {{ dbt.type_string() }}) || ' of ' || cast(built_type_count as {{ dbt.type_string() }})
                    || ' models upstream failed in their newest run'
            when not coalesce(is_alerting, false) then 'no incidents are kept for this environment'
            when is_silent then 'no build for {{ var("silent_after_days") }} days'
            when upstream_count = 0 then 'nothing upstream is known'
            when built_type_count > 0 and without_success_count = built_type_count
                then 'nothing upstream succeeded within {{ var("baseline_days") }} days'
            when badness = 1 then title
            when without_success_count > 0
                then cast(without_success_count as {{ dbt.type_string() }}) || ' of ' || cast(built_type_count as {{ dbt.type_string() }})
                    || ' models upstream have no success within {{ var("baseline_days") }} days'
            when unsure_source_count > 0
                then cast(unsure_source_count as {{ dbt.type_string() }}) || ' of ' || cast(source_count as {{ dbt.type_string() }})
                    || ' sources upstream are not known to be fresh'
            when unfollowed_count > 0 then 'what is behind a metric upstream is not known'
        end as reason,
        incident_id,
        case when badness is not null then started_at end as since_at,
        cast(incident_count as bigint) as incident_count,
        cast(upstream_count as bigint) as upstream_count,
        oldest_success_at
    from described

)

select * from final
