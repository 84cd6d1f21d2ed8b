-- Results of the newest build of each environment, those of its retries in place of what they ran again, for the report and for queries on
-- the current state.
{{ config(materialized='view') }}

with

newest as (

    select
        project,
        environment,
        coalesce(completes_run_id, run_id) as build_run_id
    from {{ ref('fct_invocations') }}
    where newest_build_number = 1

),

runs as (

    select
        invocations.project,
        invocations.environment,
        invocations.invocation_id,
        invocations.ended_at
    from {{ ref('fct_invocations') }} as invocations
    inner join newest
        on
            invocations.project = newest.project
            and invocations.environment = newest.environment
            and coalesce(invocations.completes_run_id, invocations.run_id) = newest.build_run_id
    where invocations.is_build

),

executions as (

    select * from {{ ref('fct_node_executions') }}

),

numbered as (

    select
        executions.*,
        row_number() over (
            partition by executions.project, executions.environment, executions.node_id
            order by runs.ended_at desc, executions.invocation_id desc
        ) as newest_number
    from executions
    inner join runs
        on
            executions.project = runs.project
            and executions.environment = runs.environment
            and executions.invocation_id = runs.invocation_id

),

final as (

    select
        node_execution_id,
        project,
        environment,
        invocation_id,
        node_id,
        resource_type,
        outcome,
        failure_count,
        execution_seconds,
        started_at,
        completed_at,
        thread_id,
        message
    from numbered
    where newest_number = 1

)

select * from final
