-- The next deadline of each cadence, and how many it kept lately. At risk: it will probably be missed.
with

expectations as (

    select * from {{ ref('int_run_expectations') }}

),

counted as (

    select
        project,
        environment,
        command,
        selection,
        due_time,
        sum(case when next_build_at <= due_at then 1 else 0 end) as kept_count,
        sum(case when due_at < coalesce(next_build_at, {{ as_of() }}) then 1 else 0 end) as late_count
    from expectations
    where
        due_at <= {{ as_of() }}
        and coalesce(next_build_at, {{ as_of() }}) > {{ dbt.dateadd('day', '-' ~ var('slo_days'), as_of()) }}
    group by project, environment, command, selection, due_time

),

newest as (

    select * from expectations
    where next_run_id is null

),

final as (

    select
        {{ surrogate_key(['cadences.project', 'cadences.environment', 'cadences.command', 'cadences.selection', 'cadences.due_time']) }} as deadline_id,
        cadences.project,
        cadences.environment,
        cadences.command,
        cadences.selection,
        cadences.every_hours,
        newest.last_build_at,
        newest.due_at,
        jobs.usual_seconds,
        case
            when newest.due_at is null then 'unknown'
            when newest.due_at < {{ as_of() }} then 'late'
            when forecasts.at_risk_at is not null then 'at risk'
            else 'on time'
        end as deadline_status,
        cast(coalesce(counted.kept_count, 0) as bigint) as kept_count,
        cast(coalesce(counted.late_count, 0) as bigint) as late_count,
        cadences.due_time,
        case when cadences.due_time is not null then coalesce(cadences.timezone, 'UTC') end as timezone,
        forecasts.started_at as running_since,
        forecasts.expected_p50_at,
        forecasts.expected_p90_at
    from {{ strictest_cadences() }} as cadences
    left join newest
        on
            cadences.project = newest.project
            and cadences.environment = newest.environment
            and coalesce(cadences.command, '') = coalesce(newest.command, '')
            and coalesce(cadences.selection, '') = coalesce(newest.selection, '')
            and coalesce(cadences.due_time, '') = coalesce(newest.due_time, '')
    left join counted
        on
            cadences.project = counted.project
            and cadences.environment = counted.environment
            and coalesce(cadences.command, '') = coalesce(counted.command, '')
            and coalesce(cadences.selection, '') = coalesce(counted.selection, '')
            and coalesce(cadences.due_time, '') = coalesce(counted.due_time, '')
    left join {{ ref('int_run_forecasts') }} as forecasts
        on newest.run_expectation_id = forecasts.run_expectation_id
    left join {{ ref('fct_job_invocations') }} as job_invocations
        on
            newest.project = job_invocations.project
            and newest.environment = job_invocations.environment
            and newest.last_run_id = job_invocations.run_id
    left join {{ ref('fct_jobs') }} as jobs
        on
            job_invocations.project = jobs.project
            and job_invocations.environment = jobs.environment
            and job_invocations.job_key = jobs.job_key

)

select * from final
