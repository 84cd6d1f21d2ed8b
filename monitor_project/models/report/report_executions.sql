-- What each node did in the jobs that the report shows by node: by its last retry, and without one by its failure if it ran twice, with its place on the critical path and what it took down.
with

jobs as (

    select
        project,
        environment,
        job_key,
        started_at
    from {{ ref('report_jobs') }}
    where has_executions

),

runs as (

    select
        jobs.project,
        jobs.environment,
        jobs.job_key,
        jobs.started_at as job_started_at,
        job_invocations.run_id,
        job_invocations.job_rule = 'retry' as is_retry
    from jobs
    inner join {{ ref('fct_job_invocations') }} as job_invocations
        on
            jobs.project = job_invocations.project
            and jobs.environment = job_invocations.environment
            and jobs.job_key = job_invocations.job_key

),

executions as (

    select
        executions.*,
        runs.job_key,
        -- dbt does not always write when a command began: then the first node is the beginning.
        least(
            runs.job_started_at,
            min(executions.started_at) over (partition by executions.project, executions.environment, runs.job_key)
        ) as began_at,
        row_number() over (
            partition by executions.project, executions.environment, runs.job_key, executions.node_id
            order by
                runs.is_retry desc,
                case when runs.is_retry then executions.generated_at end desc,
                case when executions.outcome = 'failure' then 0 else 1 end asc,
                executions.generated_at desc,
                executions.invocation_id desc
        ) as newest_number
    from {{ ref('fct_node_executions') }} as executions
    inner join runs
        on
            executions.project = runs.project
            and executions.environment = runs.environment
            and executions.invocation_id = runs.run_id

),

final as (

    select
        executions.project,
        executions.environment,
        executions.job_key,
        executions.node_id,
        executions.resource_type,
        executions.outcome,
        executions.failure_count,
        executions.execution_seconds,
        {{ seconds_between('executions.began_at', 'executions.started_at') }} as begin_second,
        {{ seconds_between('executions.began_at', 'executions.completed_at') }} as end_second,
        executions.thread_id,
        executions.rows_affected,
        case when executions.outcome in ('failure', 'warning') then substring(executions.message, 1, 2000) end as message,
        case
            when count(critical.node_execution_id) over (partition by executions.project, executions.environment, executions.job_key) > 0
                then coalesce(critical.is_critical, false)
        end as is_critical,
        cast(critical.wait_seconds as double) as wait_seconds,
        impact.skipped_model_count,
        impact.outdated_model_count,
        impact.exposure_names
    from executions
    left join {{ ref('fct_run_critical_path') }} as critical
        on executions.node_execution_id = critical.node_execution_id
    left join {{ ref('fct_failure_impact') }} as impact
        on executions.node_execution_id = impact.node_execution_id
    where executions.newest_number = 1

)

select * from final
