-- The critical path ends when its job's last node ends, has one node for each step, and no step begins before the one before it has ended, but for
-- the resolution of the clock. Failing rows: jobs for which one of these is not so.
{{ config(tags=['all_tests']) }}

with

path as (

    select * from {{ ref('fct_run_critical_path') }}

),

steps as (

    select
        project,
        environment,
        job_key,
        steps_from_end,
        {{ seconds_between(
            'completed_at',
            'lead(started_at) over (partition by project, environment, job_key order by steps_from_end desc)'
        ) }} as seconds_to_next_step
    from path
    where is_critical

),

counted as (

    select
        project,
        environment,
        job_key,
        count(*) as node_count,
        count(distinct steps_from_end) as step_count,
        max(steps_from_end) + 1 as last_step_count,
        min(seconds_to_next_step) as least_seconds_to_next_step
    from steps
    group by project, environment, job_key

),

jobs as (

    select
        project,
        environment,
        job_key,
        max(completed_at) as completed_at,
        max(case when steps_from_end = 0 then completed_at end) as path_completed_at
    from path
    group by project, environment, job_key

)

select
    jobs.*,
    counted.node_count,
    counted.step_count,
    counted.last_step_count,
    counted.least_seconds_to_next_step
from jobs
left join counted
    on
        jobs.project = counted.project
        and jobs.environment = counted.environment
        and jobs.job_key = counted.job_key
where
    jobs.path_completed_at is null
    or jobs.path_completed_at != jobs.completed_at
    or counted.node_count != counted.step_count
    or counted.node_count != counted.last_step_count
    or counted.least_seconds_to_next_step < -0.0101
