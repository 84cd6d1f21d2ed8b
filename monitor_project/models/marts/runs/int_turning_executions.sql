-- Those of int_turning_executions_daily without the successes that lie between two successes of the same node in the same month: a year of a
-- node that never fails is 24 rows. Readers of a node's states over all dates need no others.
{{
    config(
        materialized='incremental',
        incremental_strategy='run_dates',
        unique_key='run_date',
        on_schema_change='append_new_columns'
    )
}}

{%- set changed = changed_run_months_of(ref('int_turning_executions_daily')) %}
{%- set sequence %}(
            partition by executions.project, executions.environment, executions.node_id, {{ dbt.date_trunc('month', 'executions.run_date') }}
            order by executions.run_date, executions.observed_at, executions.invocation_id
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
        executions.message,
        executions.run_date,
        changed.run_date_version,
        lag(executions.outcome) over {{ sequence }} as prior_outcome,
        lead(executions.outcome) over {{ sequence }} as next_outcome
    from {{ ref('int_turning_executions_daily') }} as executions
    inner join {{ changed }} as changed
        on executions.run_date = changed.run_date

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
        run_date_version,
        run_date
    from sequenced
    where {{ is_turning('outcome', 'prior_outcome', 'next_outcome') }}

)

select * from final
