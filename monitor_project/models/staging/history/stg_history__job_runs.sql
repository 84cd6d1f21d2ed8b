with

source as (

    select *
    from {{ without_copies(
        source('history', 'job_runs'),
        ['job_run_id']
    ) }} as copies

),

final as (

    select
        job_run_id,
        job_id,
        project,
        environment,
        command,
        is_build,
        started_at,
        ended_at,
        exit_code,
        signal,
        has_results,
        invocation_id,
        git_sha,
        git_branch,
        actor,
        ci_url,
        pull_request,
        repository_url,
        log_tail,
        error_line,
        run_date
    from source

)

select * from final
