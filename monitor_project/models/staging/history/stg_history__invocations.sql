with

source as (

    select *
    from {{ without_copies(
        source('history', 'invocations'),
        ['project', 'environment', 'invocation_id'],
        within_run_date=false
    ) }} as copies

),

final as (

    select
        project,
        environment,
        invocation_id,
        generated_at,
        job_id,
        command,
        is_build,
        is_retry,
        is_partial,
        is_full_refresh,
        target,
        selection,
        dbt_version,
        adapter_type,
        started_at,
        elapsed_seconds,
        result_count,
        tolerated_count,
        manifest_hash,
        manifest_invocation_id,
        artifact_sha256,
        git_sha,
        git_branch,
        actor,
        ci_url,
        pull_request,
        run_date
    from source

)

select * from final
