-- How each judged job of the last slo_days used the error budget: the failed builds that were still allowed after it.
with

jobs as (

    select
        jobs.project,
        jobs.environment,
        jobs.job_key,
        jobs.ended_at,
        case when jobs.job_status = 'success' then 0 else 1 end as is_failed
    from {{ ref('fct_jobs') }} as jobs
    inner join {{ ref('dim_monitor') }} as monitor
        on jobs.ended_at > {{ dbt.dateadd('day', '-' ~ var('slo_days'), 'monitor.as_of') }}
    where jobs.job_status in ('success', 'failure', 'interrupted', 'did not start')

),

final as (

    select
        jobs.project,
        jobs.environment,
        jobs.job_key,
        jobs.ended_at,
        budgets.target_rate,
        cast(
            budgets.allowed_failure_count - sum(jobs.is_failed) over (
                partition by jobs.project, jobs.environment
                order by jobs.ended_at, jobs.job_key
                rows between unbounded preceding and current row
            ) as double
        ) as budget_left_count
    from jobs
    inner join {{ ref('fct_error_budgets') }} as budgets
        on
            jobs.project = budgets.project
            and jobs.environment = budgets.environment

)

select * from final
