-- Builds that `offdag run` started, with their ends. One without an end runs on, or was killed; the next one with the same command line (up to
-- --vars) that ends settles it, and so do results that a later run collected. It takes too long after timeout_hours of its cadence (of several, the one that names most), else after stuck_rate times the usual time of its command line, else after run_timeout_hours.
with

starts as (

    select
        starts.job_run_id,
        starts.job_id,
        starts.project,
        starts.environment,
        starts.command,
        {{ dbt.split_part('starts.command', "' --vars'", 1) }} as command_words,
        starts.started_at,
        job_runs.ended_at,
        coalesce(job_runs.invocation_id, starts.job_run_id) as run_id,
        {{ seconds_between('starts.started_at', 'job_runs.ended_at') }} as run_seconds
    from {{ ref('stg_history__job_starts') }} as starts
    left join {{ ref('stg_history__job_runs') }} as job_runs
        on
            starts.job_run_id = job_runs.job_run_id
            and job_runs.ended_at <= {{ as_of() }}
    where
        starts.is_build
        and starts.started_at <= {{ as_of() }}

),

{%- set series = ['project', 'environment', 'command_words'] %}

compared as (

    select
        *,
        count(run_seconds) over (
            partition by {{ series | join(', ') }}
            order by started_at, job_run_id
            rows between {{ var('baseline_runs') }} preceding and 1 preceding
        ) as prior_end_count,
        min(ended_at) over (
            partition by {{ series | join(', ') }}
            order by started_at, job_run_id
            rows between 1 following and unbounded following
        ) as next_ended_at
    from {{ against_baseline('starts', 'run_seconds', series, ['started_at', 'job_run_id']) }} as compared_starts

),

timeouts as (

    select
        starts.job_run_id,
        cadences.timeout_hours,
        row_number() over (
            partition by starts.job_run_id
            order by
                case when cadences.selection is null then 1 else 0 end,
                case when cadences.command is null then 1 else 0 end,
                cadences.timeout_hours
        ) as specific_number
    from starts
    inner join {{ ref('run_cadences') }} as cadences
        on
            starts.project = cadences.project
            and starts.environment = cadences.environment
    where
        cadences.timeout_hours > 0
        and {{ is_of_cadence('starts.command', 'cadences') }}

),

allowed as (

    select
        compared.*,
        coalesce(
            timeouts.timeout_hours * 3600,
            case
                when compared.prior_end_count >= {{ var('baseline_least_runs') }}
                    then greatest(compared.usual_value * {{ var('stuck_rate') }}, compared.usual_value + {{ var('stuck_least_minutes') }} * 60)
            end,
            {{ var('run_timeout_hours') }} * 3600
        ) as allowed_seconds
    from compared
    left join timeouts
        on
            compared.job_run_id = timeouts.job_run_id
            and timeouts.specific_number = 1

),

timed as (

    select
        *,
        {{ bounded('allowed_seconds', 'threshold') }} as timeout_seconds
    from allowed

),

overdue as (

    select
        *,
        {{ add_seconds('started_at', 'timeout_seconds') }} as overdue_at
    from timed

),

-- What a later run collected of a run whose offdag was killed has its job.
collected as (

    select
        overdue.job_run_id,
        min(builds.ended_at) as ended_at
    from overdue
    inner join {{ ref('fct_invocations') }} as builds
        on
            overdue.project = builds.project
            and overdue.environment = builds.environment
            and overdue.job_id = builds.job_id
    where
        overdue.ended_at is null
        and builds.is_build
        and builds.started_at >= overdue.started_at
        and builds.ended_at <= {{ as_of() }}
    group by overdue.job_run_id

),

final as (

    select
        overdue.job_run_id,
        overdue.project,
        overdue.environment,
        overdue.command,
        overdue.run_id,
        overdue.started_at,
        overdue.ended_at,
        overdue.run_seconds,
        case when overdue.prior_end_count >= {{ var('baseline_least_runs') }} then cast(overdue.usual_value as double) end as usual_seconds,
        cast(overdue.timeout_seconds as double) as timeout_seconds,
        overdue.overdue_at,
        coalesce(overdue.ended_at, collected.ended_at, overdue.next_ended_at) as settled_at
    from overdue
    left join collected
        on overdue.job_run_id = collected.job_run_id

)

select * from final
