-- Each result of an artifact is in the executions once. Failing rows: invocations whose counts differ.
with

invocations as (

    select * from {{ ref('stg_history__invocations') }}
    where command is null or command != 'freshness'

),

executions as (

    select
        project,
        environment,
        invocation_id,
        run_date,
        count(*) as row_count
    from {{ ref('fct_node_executions') }}
    group by project, environment, invocation_id, run_date

)

select
    invocations.project,
    invocations.environment,
    invocations.invocation_id,
    invocations.result_count,
    executions.row_count
from invocations
left join executions
    on
        invocations.project = executions.project
        and invocations.environment = executions.environment
        and invocations.invocation_id = executions.invocation_id
        and invocations.run_date = executions.run_date
where invocations.result_count != coalesce(executions.row_count, 0)
