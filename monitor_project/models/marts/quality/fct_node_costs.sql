-- A view, since it only filters. Adapters that report no cost have no rows.
{{ config(materialized='view') }}

select
    node_execution_id,
    project,
    environment,
    invocation_id,
    node_id,
    observed_at,
    bytes_processed,
    slot_milliseconds,
    query_id
from {{ ref('fct_node_executions') }}
where
    generated_at <= (select dim_monitor.as_of from {{ ref('dim_monitor') }} as dim_monitor)
    and (bytes_processed is not null or slot_milliseconds is not null or query_id is not null)
