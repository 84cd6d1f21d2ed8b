-- Whether each environment is healthy now, in one word with its reason, and the counts behind it. Degraded: the last build failed, or an error
-- is open that nobody muted. Unknown: no build lately, one whose result is unknown, or no incidents. Caution: anything else that is open, failed,
-- late or at risk.
with

known_environments as (

    select * from {{ ref('dim_environments') }}

),

-- A build that never came has an incident, but no environment.
environments as (

    select
        project,
        environment,
        is_alerting,
        last_build_at
    from known_environments

    union all

    select distinct
        incidents.project,
        incidents.environment,
        true as is_alerting,
        cast(null as {{ dbt.type_timestamp() }}) as last_build_at
    from {{ ref('fct_incidents') }} as incidents
    left join known_environments
        on
            incidents.project = known_environments.project
            and incidents.environment = known_environments.environment
    where
        incidents.incident_status = 'open'
        and known_environments.project is null

),

failed_nodes as (

    select
        project,
        environment,
        count(*) as failed_node_count
    from {{ ref('int_failed_nodes') }}
    group by project, environment

),

open_incidents as (

    select
        incidents.project,
        incidents.environment,
        incidents.title,
        incidents.started_at,
        context.is_muted,
        context.severity = 'error' and not context.is_muted as is_unmuted_error,
        row_number() over (
            partition by incidents.project, incidents.environment
            order by
                case when context.severity = 'error' and not context.is_muted then 0 when not context.is_muted then 1 else 2 end,
                incidents.started_at,
                incidents.incident_id
        ) as worst_number
    from {{ ref('fct_incidents') }} as incidents
    inner join {{ ref('fct_incident_context') }} as context
        on incidents.incident_id = context.incident_id
    where incidents.incident_status = 'open'

),

incidents as (

    select
        project,
        environment,
        sum(case when is_unmuted_error then 1 else 0 end) as open_error_count,
        sum(case when not is_unmuted_error and not is_muted then 1 else 0 end) as open_warning_count,
        sum(case when is_muted then 1 else 0 end) as muted_count,
        max(case when worst_number = 1 then title end) as worst_title
    from open_incidents
    group by project, environment

),

sources as (

    select
        project,
        environment,
        count(*) as source_count,
        sum(case when source_state = 'fresh' then 1 else 0 end) as fresh_count,
        sum(case when source_state = 'late' then 1 else 0 end) as late_count,
        sum(case when source_state = 'stale' then 1 else 0 end) as stale_count,
        sum(case when source_state = 'unknown' then 1 else 0 end) as unknown_count
    from {{ ref('fct_source_states') }}
    group by project, environment

),

exposures as (

    select
        project,
        environment,
        count(*) as exposure_count,
        sum(case when health = 'healthy' then 1 else 0 end) as healthy_count,
        sum(case when health = 'caution' then 1 else 0 end) as caution_count,
        sum(case when health = 'degraded' then 1 else 0 end) as degraded_count,
        sum(case when health = 'unknown' then 1 else 0 end) as unknown_count
    from {{ ref('fct_exposure_health') }}
    group by project, environment

),

deadlines as (

    select
        project,
        environment,
        sum(case when deadline_status = 'on time' then 1 else 0 end) as on_time_count,
        sum(case when deadline_status = 'at risk' then 1 else 0 end) as at_risk_count,
        sum(case when deadline_status = 'late' then 1 else 0 end) as late_count,
        sum(case when deadline_status = 'unknown' then 1 else 0 end) as unknown_count
    from {{ ref('fct_deadlines') }}
    group by project, environment

),

described as (

    select
        environments.project,
        environments.environment,
        environments.is_alerting,
        coalesce(last_jobs.is_silent, true) as is_silent,
        environments.last_build_at,
        last_jobs.job_key as last_job_key,
        last_jobs.job_status as last_job_status,
        coalesce(last_jobs.job_status in ('failure', 'interrupted', 'did not start'), false) as has_failed,
        coalesce(incidents.open_error_count, 0) as open_error_count,
        coalesce(incidents.open_warning_count, 0) as open_warning_count,
        coalesce(incidents.muted_count, 0) as muted_count,
        incidents.worst_title,
        coalesce(failed_nodes.failed_node_count, 0) as failed_node_count,
        coalesce(sources.source_count, 0) as source_count,
        coalesce(sources.fresh_count, 0) as fresh_source_count,
        coalesce(sources.late_count, 0) as late_source_count,
        coalesce(sources.stale_count, 0) as stale_source_count,
        coalesce(sources.unknown_count, 0) as unknown_source_count,
        coalesce(exposures.exposure_count, 0) as exposure_count,
        coalesce(exposures.healthy_count, 0) as healthy_exposure_count,
        coalesce(exposures.caution_count, 0) as caution_exposure_count,
        coalesce(exposures.degraded_count, 0) as degraded_exposure_count,
        coalesce(exposures.unknown_count, 0) as unknown_exposure_count,
        coalesce(deadlines.on_time_count, 0) as on_time_deadline_count,
        coalesce(deadlines.at_risk_count, 0) as at_risk_deadline_count,
        coalesce(deadlines.late_count, 0) as late_deadline_count,
        coalesce(deadlines.unknown_count, 0) as unknown_deadline_count
    from environments
    left join {{ ref('int_last_jobs') }} as last_jobs
        on
            environments.project = last_jobs.project
            and environments.environment = last_jobs.environment
    left join failed_nodes
        on
            environments.project = failed_nodes.project
            and environments.environment = failed_nodes.environment
    left join incidents
        on
            environments.project = incidents.project
            and environments.environment = incidents.environment
    left join sources
        on
            environments.project = sources.project
            and environments.environment = sources.environment
    left join exposures
        on
            environments.project = exposures.project
            and environments.environment = exposures.environment
    left join deadlines
        on
            environments.project = deadlines.project
            and environments.environment = deadlines.environment

),

judged as (

    select
        *,
        case
            when open_error_count = 1 then worst_title
            when open_error_count > 1
                then cast(open_error_count as {{ dbt.type_string() }}) || ' errors are open, the first: ' || worst_title
            when has_failed and last_job_status = 'failure' then 'the last build failed'
            when has_failed and last_job_status = 'interrupted' then 'the last build was interrupted'
            when has_failed then 'the last build did not start'
            when last_build_at is null then 'no build was collected'
            when last_job_status is null then 'no build had a result'
            when is_silent then 'no build for {{ var("silent_after_days") }} days'
            when last_job_status = 'unknown' then 'the result of the last build is unknown'
            when not is_alerting then 'no incidents are kept for this environment; its last build succeeded'
            when open_warning_count = 1 or (open_warning_count = 0 and muted_count = 1) then worst_title
            when open_warning_count > 1
                then cast(open_warning_count as {{ dbt.type_string() }}) || ' warnings are open, the first: ' || worst_title
            when muted_count > 1
                then cast(muted_count as {{ dbt.type_string() }}) || ' muted incidents are open, the first: ' || worst_title
            when failed_node_count > 0
                then cast(failed_node_count as {{ dbt.type_string() }}) || ' models failed in their newest run'
            when late_deadline_count > 0 then 'a build is late'
            when at_risk_deadline_count > 0 then 'a deadline is at risk'
            when unknown_deadline_count > 0 then 'no build of a cadence is known'
            when stale_source_count > 0 then 'a source is stale'
            when late_source_count > 0 then 'a source is late'
            when unknown_source_count > 0 then 'the freshness of a source is unknown'
            else 'the last build succeeded, and no incident is open'
        end as reason
    from described

),

final as (

    select
        project,
        environment,
        is_alerting,
        case
            when open_error_count > 0 or has_failed then 'degraded'
            when last_build_at is null or is_silent or last_job_status is null or last_job_status = 'unknown' then 'unknown'
            when not is_alerting then 'unknown'
            when
                open_warning_count + muted_count + failed_node_count
                + late_deadline_count + at_risk_deadline_count + unknown_deadline_count
                + stale_source_count + late_source_count + unknown_source_count > 0
                then 'caution'
            else 'healthy'
        end as health,
        reason,
        last_build_at,
        last_job_key,
        last_job_status,
        {% for counted in [
            'open_error', 'open_warning', 'muted', 'failed_node',
            'source', 'fresh_source', 'late_source', 'stale_source', 'unknown_source',
            'exposure', 'healthy_exposure', 'caution_exposure', 'degraded_exposure', 'unknown_exposure',
            'on_time_deadline', 'at_risk_deadline', 'late_deadline', 'unknown_deadline',
        ] %}
        cast({{ counted }}_count as bigint) as {{ counted }}_count{{ ',' if not loop.last }}
        {% endfor %}
    from judged

)

select * from final
