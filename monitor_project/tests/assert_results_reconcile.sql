-- Every result of the history is in the executions, once. Rows that fail: dates whose numbers differ.
with

history as (

    select
        run_date,
        count(*) as row_count
    from {{ ref('stg_history__node_results') }}
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
