-- What failed or was skipped in builds, and the models that were built in a run with a failed one: the small part of the history that the
-- impact of failures is computed from. A date without such results has one row without a node, so that it does not count as changed again.
{{
    config(
        materialized='incremental',
        incremental_strategy='run_dates',
        unique_key='run_date',
        on_schema_change='append_new_columns'
    )
}}

{%- set changed = changed_run_dates_of(ref('int_result_counts')) %}

with

executions as (

    select
        executions.node_execution_id,
        executions.project,
        executions.environment,
        executions.invocation_id,
        executions.node_id,
        executions.resource_type,
        executions.is_build,
        executions.outcome,
        executions.generated_at,
        executions.run_date
    from {{ ref('fct_node_executions') }} as executions
    inner join {{ changed }} as changed
        on executions.run_date = changed.run_date

),

failed_runs as (

    select distinct
        project,
        environment,
        invocation_id,
        run_date
    from executions
    where
        is_build
        and outcome = 'failure'
        and resource_type not in ('test', 'unit_test')

),

kept as (

    select executions.*
    from executions
    left join failed_runs
        on
            executions.project = failed_runs.project
            and executions.environment = failed_runs.environment
            and executions.invocation_id = failed_runs.invocation_id
            and executions.run_date = failed_runs.run_date
    where
        (executions.is_build and executions.outcome in ('failure', 'skipped'))
        or (
            failed_runs.invocation_id is not null
            and executions.outcome = 'success'
            and executions.resource_type in ('model', 'snapshot', 'seed')
        )

),

final as (

    select
        kept.node_execution_id,
        kept.project,
        kept.environment,
        kept.invocation_id,
        kept.node_id,
        kept.resource_type,
        kept.outcome,
        kept.generated_at,
        changed.run_date_version,
        changed.run_date
    from {{ changed }} as changed
    left join kept
        on changed.run_date = kept.run_date
    where changed.run_date_version is not null

)

select * from final
