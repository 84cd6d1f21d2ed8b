-- Results of the newest build of each environment, for the report and for queries on the current state.
{{ config(materialized='view') }}

with

newest as (

    select * from {{ ref('fct_invocations') }}
    where newest_build_number = 1

),

executions as (

    select * from {{ ref('fct_node_executions') }}

),

final as (

    select
        executions.node_execution_id,
        executions.project,
        executions.environment,
        executions.invocation_id,
        executions.node_id,
        executions.resource_type,
        executions.outcome,
        executions.failure_count,
        executions.execution_seconds,
        executions.started_at,
        executions.completed_at,
        executions.thread_id,
        executions.message
    from executions
    inner join newest
        on
            executions.project = newest.project
            and executions.environment = newest.environment
            and executions.invocation_id = newest.invocation_id

)

select * from final
