-- A view: rows of fct_node_executions, with attributes of the test.
{{ config(materialized='view') }}

with

executions as (

    select * from {{ ref('fct_node_executions') }}
    where
        is_build
        and resource_type in ('test', 'unit_test')
        and generated_at <= (select dim_monitor.as_of from {{ ref('dim_monitor') }} as dim_monitor)

),

nodes as (

    select * from {{ ref('dim_nodes_ever') }}

),

final as (

    select
        executions.node_execution_id,
        executions.project,
        executions.environment,
        executions.invocation_id,
        executions.node_id,
        nodes.stable_key,
        nodes.test_name,
        nodes.attached_node_id as tested_node_id,
        nodes.column_name as tested_column_name,
        executions.outcome,
        executions.failure_count,
        executions.execution_seconds,
        executions.observed_at
    from executions
    left join nodes
        on
            executions.project = nodes.project
            and executions.environment = nodes.environment
            and executions.node_id = nodes.node_id

)

select * from final
