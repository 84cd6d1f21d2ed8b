-- The last job that is not empty, and whether it is too long ago. A build that is not due yet is not missed, however long ago the last one was.
with

jobs as (

    select
        *,
        row_number() over (
            partition by project, environment
            order by ended_at desc, job_key desc
        ) as newest_number
    from {{ ref('fct_jobs') }}
    where job_status != 'empty'

),

punctual as (

    select distinct
        project,
        environment
    from {{ ref('fct_deadlines') }}
    where
        deadline_status in ('on time', 'at risk')
        and last_build_at is not null

),

final as (

    select
        jobs.project,
        jobs.environment,
        jobs.job_key,
        jobs.job_status,
        jobs.ended_at,
        jobs.ended_at <= {{ dbt.dateadd('day', '-' ~ var('silent_after_days'), as_of()) }}
        and punctual.project is null as is_silent
    from jobs
    left join punctual
        on
            jobs.project = punctual.project
            and jobs.environment = punctual.environment
    where jobs.newest_number = 1

)

select * from final
