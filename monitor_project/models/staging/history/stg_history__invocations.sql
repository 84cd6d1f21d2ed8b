-- A table, unlike the other staging models: half of the marts read it, and a view would open every file of the history each time.
{{
    config(
        materialized='incremental',
        incremental_strategy='run_dates',
        unique_key='run_date',
        on_schema_change='append_new_columns'
    )
}}

{%- set changed = changed_run_dates('history', 'invocations') %}

with

source as (

    select *
    from {{ without_copies(
        rows_of_run_dates(source('history', 'invocations'), changed),
        ['project', 'environment', 'invocation_id']
    ) }} as copies

),

final as (

    select
        source.project,
        source.environment,
        source.invocation_id,
        source.generated_at,
        source.job_id,
        source.command,
        source.is_build,
        source.is_retry,
        source.is_partial,
        source.is_full_refresh,
        source.target,
        source.selection,
        source.variables_hash,
        source.project_variables,
        source.dbt_version,
        source.adapter_type,
        source.started_at,
        {{ bounded('source.elapsed_seconds', 'duration') }} as elapsed_seconds,
        source.result_count,
        source.tolerated_count,
        source.manifest_hash,
        source.manifest_invocation_id,
        source.manifest_generated_at,
        source.artifact_sha256,
        source.git_sha,
        source.git_branch,
        source.actor,
        source.ci_url,
        source.pull_request,
        source.repository_url,
        source.run_date,
        run_date_versions.run_date_version
    from source
    inner join {{ changed }} as run_date_versions
        on source.run_date = run_date_versions.run_date

)

select * from final
