-- Builds that `offdag run` started, with their ends. One without an end runs on, or was killed; the next one with the same command line that ends
-- settles it. It takes too long after timeout_hours of its cadence (of several, the one that names most), else after stuck_rate times the usual time of its command line, else after run_timeout_hours.
with

starts as (

    select
        starts.job_run_id,
        starts.project,
        starts.environment,
        starts.command,
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

{%- set series = ['project', 'environment', 'command'] %}

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

final as (

    select
        job_run_id,
        project,
        environment,
        command,
        run_id,
        started_at,
        ended_at,
        run_seconds,
        case when prior_end_count >= {{ var('baseline_least_runs') }} then cast(usual_value as double) end as usual_seconds,
        cast(timeout_seconds as double) as timeout_seconds,
        overdue_at,
        coalesce(ended_at, next_ended_at) as settled_at
    from overdue

)

select * from final
