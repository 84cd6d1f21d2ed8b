-- Each row of the history's node_results is in the executions once. Failing rows: run_dates whose counts differ.
{{ config(tags=['all_tests']) }}

with

history as (

    select
        run_date,
        count(*) as row_count
    from {{ without_copies(
        source('history', 'node_results'), ['project', 'environment', 'invocation_id', 'unique_id']
    ) }} as copies
    group by run_date

),

executions as (

    select
        run_date,
        count(*) as row_count
    from {{ ref('fct_node_executions') }}
    group by run_date

)

select
    coalesce(history.run_date, executions.run_date) as run_date,
    history.row_count as history_row_count,
    executions.row_count as execution_row_count
from history
full outer join executions
    on history.run_date = executions.run_date
where coalesce(history.row_count, 0) != coalesce(executions.row_count, 0)
