-- Results of each dbt command by outcome: readers of whole builds need a small part of the history.
{{
    config(
        materialized='incremental',
        incremental_strategy='run_dates',
        unique_key='run_date',
        on_schema_change='append_new_columns'
    )
}}

{%- set changed = changed_run_dates_of(ref('fct_node_executions')) %}

select
    executions.project,
    executions.environment,
    executions.invocation_id,
    executions.is_build,
    executions.generated_at,
    cast(count(*) as bigint) as result_count,
    {%- for outcome in ['success', 'failure', 'warning', 'skipped', 'no-op', 'reused', 'unknown'] %}
    cast(sum(case when executions.outcome = '{{ outcome }}' then 1 else 0 end) as bigint) as {{ outcome | replace('-', '_') }}_count,
    {%- endfor %}
    {%- for name, outcome in {'pass': 'success', 'warn': 'warning', 'fail': 'failure'}.items() %}
    cast(
        sum(case when executions.resource_type in ('test', 'unit_test') and executions.outcome = '{{ outcome }}' then 1 else 0 end) as bigint
    ) as test_{{ name }}_count,
    {%- endfor %}
    executions.run_date_version,
    executions.run_date
from {{ ref('fct_node_executions') }} as executions
inner join {{ changed }} as changed
    on executions.run_date = changed.run_date
group by
    executions.project,
    executions.environment,
    executions.invocation_id,
    executions.is_build,
    executions.generated_at,
    executions.run_date_version,
    executions.run_date
