-- Results of builds without the successes that lie between two successes of the same node on the same date: in them no state begins or
-- ends. Readers of a node's sequence need a small part of the history. Order within a node: run_date, observed_at, invocation_id.
{{
    config(
        materialized='incremental',
        incremental_strategy='run_dates',
        unique_key='run_date',
        on_schema_change='append_new_columns'
    )
}}

{%- set changed = changed_run_dates_of(ref('fct_node_executions')) %}
{%- set sequence %}(
            partition by executions.run_date, executions.project, executions.environment, executions.node_id
            order by executions.observed_at, executions.invocation_id
        ){% endset %}

with

sequenced as (

    select
        executions.node_execution_id,
        executions.project,
        executions.environment,
        executions.invocation_id,
        executions.node_id,
        executions.resource_type,
        executions.node_status,
        executions.outcome,
        executions.failure_count,
        executions.observed_at,
        case when executions.outcome != 'success' then executions.message end as message,
        lag(executions.outcome) over {{ sequence }} as prior_outcome,
        lead(executions.outcome) over {{ sequence }} as next_outcome,
        lag(executions.observed_at) over {{ sequence }} as prior_observed_at,
        row_number() over {{ sequence }} as date_run_number,
        executions.run_date_version,
        executions.run_date
    from {{ ref('fct_node_executions') }} as executions
    inner join {{ changed }} as changed
        on executions.run_date = changed.run_date
    where
        executions.is_build
        and executions.outcome in ('success', 'failure', 'warning')

),

kept as (

    select *
    from sequenced
    where {{ is_turning('outcome', 'prior_outcome', 'next_outcome') }}

),

final as (

    select
        node_execution_id,
        project,
        environment,
        invocation_id,
        node_id,
        resource_type,
        node_status,
        outcome,
        failure_count,
        observed_at,
        message,
        prior_observed_at,
        cast(date_run_number as bigint) as date_run_number,
        cast(
            date_run_number - 1 - coalesce(
                lag(date_run_number) over (
                    partition by run_date, project, environment, node_id
                    order by date_run_number
                ), 0
            ) as bigint
        ) as left_out_count,
        run_date_version,
        run_date
    from kept

)

select * from final
