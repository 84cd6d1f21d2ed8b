-- Incremental: a run_date is replaced as a whole when its files changed, so late and backfilled artifacts are never missed.
{{
    config(
        materialized='incremental',
        incremental_strategy='run_dates',
        unique_key='run_date',
        on_schema_change='append_new_columns'
    )
}}

{%- set changed = changed_run_dates('history', 'node_results') %}

with

-- Reads the source directly, since a staging view would open every file of the history.
results as (

    select *
    from {{ without_copies(
        rows_of_run_dates(source('history', 'node_results'), changed),
        ['project', 'environment', 'invocation_id', 'unique_id']
    ) }} as copies

),

-- dbt 2.0 capitalises some statuses. A status not listed here is unknown: neither success nor failure.
judged as (

    select
        *,
        lower(status) as node_status,
        case
            when lower(status) in ('success', 'pass') then 'success'
            when lower(status) in ('error', 'fail', 'runtime error', 'partial success') then 'failure'
            when lower(status) = 'warn' then 'warning'
            when lower(status) = 'skipped' then 'skipped'
            -- dbt State took an earlier result: nothing ran and nothing was tested.
            when lower(status) = 'reused' then 'reused'
            -- Exposures and saved queries: there is nothing to run.
            when lower(status) = 'no-op' then 'no-op'
            else 'unknown'
        end as outcome
    from results

),

final as (

    select
        {{ surrogate_key(['judged.project', 'judged.environment', 'judged.invocation_id', 'judged.unique_id', 'judged.run_date']) }}
            as node_execution_id,
        judged.project,
        judged.environment,
        judged.invocation_id,
        judged.unique_id as node_id,
        judged.resource_type,
        judged.is_build,
        judged.node_status,
        judged.outcome,
        {{ bounded('judged.failures', 'count') }} as failure_count,
        -- dbt writes 0 seconds for nodes that did not run.
        case when judged.outcome not in ('skipped', 'no-op', 'reused') then {{ bounded('judged.execution_seconds', 'duration') }} end as execution_seconds,
        judged.started_at,
        judged.execute_started_at,
        judged.completed_at,
        coalesce(judged.completed_at, judged.generated_at) as observed_at,
        judged.thread_id,
        {{ bounded('judged.rows_affected', 'count') }} as rows_affected,
        {{ bounded('judged.bytes_processed', 'count') }} as bytes_processed,
        {{ bounded('judged.slot_milliseconds', 'count') }} as slot_milliseconds,
        judged.query_id,
        judged.message,
        judged.generated_at,
        run_date_versions.run_date_version,
        judged.run_date
    from judged
    inner join {{ changed }} as run_date_versions
        on judged.run_date = run_date_versions.run_date

)

select * from final
