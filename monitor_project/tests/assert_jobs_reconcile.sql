-- Each build is in one job, with its results: nothing is lost between commands, jobs and days. Failing rows: environments whose counts differ.
{{ config(tags=['all_tests']) }}

with

builds as (

    select
        project,
        environment,
        count(*) as command_count,
        sum(result_count) as result_count
    from {{ ref('fct_invocations') }}
    where is_build
    group by project, environment

),

jobs as (

    select
        project,
        environment,
        sum(invocation_count) as command_count,
        sum(result_count) as result_count,
        count(*) as job_count
    from {{ ref('fct_jobs') }}
    group by project, environment

),

days as (

    select
        project,
        environment,
        sum(build_count) as job_count
    from {{ ref('fct_build_health_daily') }}
    group by project, environment

)

select
    builds.*,
    jobs.command_count as job_command_count,
    jobs.result_count as job_result_count,
    jobs.job_count,
    days.job_count as day_job_count
from builds
left join jobs
    on
        builds.project = jobs.project
        and builds.environment = jobs.environment
left join days
    on
        builds.project = days.project
        and builds.environment = days.environment
where
    builds.command_count != coalesce(jobs.command_count, 0)
    or builds.result_count != coalesce(jobs.result_count, 0)
    or jobs.job_count != coalesce(days.job_count, 0)
