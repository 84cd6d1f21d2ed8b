with

invocations as (

    select * from {{ ref('stg_history__invocations') }}

),

job_runs as (

    select * from {{ ref('stg_history__job_runs') }}

),

result_counts as (

    select * from {{ ref('int_result_counts') }}

),

source_freshness as (

    select * from {{ ref('fct_source_freshness') }}

),

node_counts as (

    select
        project,
        environment,
        invocation_id,
        success_count,
        failure_count,
        warning_count,
        skipped_count,
        no_op_count,
        reused_count,
        unknown_count
    from result_counts

    union all

    select
        project,
        environment,
        invocation_id,
        sum(case when outcome = 'success' then 1 else 0 end) as success_count,
        sum(case when outcome = 'failure' then 1 else 0 end) as failure_count,
        sum(case when outcome = 'warning' then 1 else 0 end) as warning_count,
        0 as skipped_count,
        0 as no_op_count,
        0 as reused_count,
        sum(case when outcome = 'unknown' then 1 else 0 end) as unknown_count
    from source_freshness
    group by project, environment, invocation_id

),

-- Commands with results. Their exit code is known only if offdag started them.
with_results as (

    select
        invocations.project,
        invocations.environment,
        invocations.invocation_id as run_id,
        invocations.invocation_id,
        invocations.job_id,
        invocations.command,
        invocations.is_build,
        invocations.is_retry,
        coalesce(job_runs.started_at, invocations.started_at) as started_at,
        invocations.generated_at as ended_at,
        case
            when invocations.is_partial then 'interrupted'
            when not invocations.is_build and invocations.command != 'freshness' then 'other command'
            when invocations.result_count = 0 then 'empty'
            when coalesce(node_counts.failure_count, 0) > 0 then 'failure'
            when coalesce(node_counts.unknown_count, 0) > 0 then 'unknown'
            when coalesce(job_runs.exit_code, 0) != 0 then 'failure'
            else 'success'
        end as invocation_status,
        coalesce(node_counts.success_count, 0) as success_count,
        coalesce(node_counts.failure_count, 0) as failure_count,
        coalesce(node_counts.warning_count, 0) as warning_count,
        coalesce(node_counts.skipped_count, 0) as skipped_count,
        coalesce(node_counts.no_op_count, 0) as no_op_count,
        coalesce(node_counts.reused_count, 0) as reused_count,
        coalesce(node_counts.unknown_count, 0) as unknown_count,
        invocations.result_count,
        invocations.elapsed_seconds,
        job_runs.exit_code,
        job_runs.signal as exit_signal,
        invocations.dbt_version,
        invocations.manifest_hash,
        invocations.is_full_refresh,
        invocations.selection,
        invocations.target,
        invocations.git_sha,
        invocations.git_branch,
        invocations.actor,
        invocations.pull_request,
        invocations.repository_url,
        invocations.ci_url,
        cast(null as {{ dbt.type_string() }}) as log_tail,
        cast(null as {{ dbt.type_string() }}) as error_line
    from invocations
    left join job_runs
        on
            invocations.project = job_runs.project
            and invocations.environment = job_runs.environment
            and invocations.invocation_id = job_runs.invocation_id
    left join node_counts
        on
            invocations.project = node_counts.project
            and invocations.environment = node_counts.environment
            and invocations.invocation_id = node_counts.invocation_id

),

-- Commands without results. Without them, the last successful run would seem to be the newest one.
without_results as (

    select
        coalesce(project, 'unknown') as project,
        environment,
        job_run_id as run_id,
        cast(null as {{ dbt.type_string() }}) as invocation_id,
        job_id,
        command,
        is_build,
        false as is_retry,
        started_at,
        ended_at,
        case
            when signal is not null then 'interrupted'
            when error_line like 'its results were refused%' then 'unknown'
            -- dbt can be set to write no artifacts: its log shows that it came to the end.
            when is_build and log_tail like '%Done. PASS=%' and exit_code = 0 then 'success'
            when is_build and log_tail like '%Done. PASS=%' then 'failure'
            when exit_code != 0 then 'did not start'
            else 'other command'
        end as invocation_status,
        0 as success_count,
        0 as failure_count,
        0 as warning_count,
        0 as skipped_count,
        0 as no_op_count,
        0 as reused_count,
        0 as unknown_count,
        0 as result_count,
        cast(null as {{ dbt.type_float() }}) as elapsed_seconds,
        exit_code,
        signal as exit_signal,
        cast(null as {{ dbt.type_string() }}) as dbt_version,
        cast(null as {{ dbt.type_string() }}) as manifest_hash,
        cast(null as boolean) as is_full_refresh,
        cast(null as {{ dbt.type_string() }}) as selection,
        cast(null as {{ dbt.type_string() }}) as target,
        git_sha,
        git_branch,
        actor,
        pull_request,
        repository_url,
        ci_url,
        log_tail,
        error_line
    from job_runs
    where not has_results

),

runs as (

    select * from with_results
    union all
    select * from without_results

),

-- A build and the retries after it have the same build number, also among the builds with its command and selection.
numbered as (

    select
        *,
        sum(case when is_build and not is_retry and invocation_id is not null then 1 else 0 end) over (
            partition by project, environment
            order by ended_at, run_id
            rows between unbounded preceding and current row
        ) as build_number,
        sum(case when is_build and not is_retry and invocation_id is not null then 1 else 0 end) over (
            partition by project, environment, command, selection
            order by ended_at, run_id
            rows between unbounded preceding and current row
        ) as same_build_number,
        case
            when is_build and invocation_id is not null and invocation_status != 'empty'
                then row_number() over (
                    partition by project, environment, is_build, invocation_id is not null, invocation_status != 'empty'
                    order by ended_at desc, run_id desc
                )
        end as newest_build_number
    from runs
    where {{ until_as_of('ended_at') }}

),

final as (

    select
        project,
        environment,
        run_id,
        invocation_id,
        job_id,
        command,
        is_build,
        is_retry,
        started_at,
        ended_at,
        invocation_status,
        cast(success_count as bigint) as success_count,
        cast(failure_count as bigint) as failure_count,
        cast(warning_count as bigint) as warning_count,
        cast(skipped_count as bigint) as skipped_count,
        cast(no_op_count as bigint) as no_op_count,
        cast(reused_count as bigint) as reused_count,
        cast(unknown_count as bigint) as unknown_count,
        cast(result_count as bigint) as result_count,
        cast(elapsed_seconds as double) as elapsed_seconds,
        {{ dbt.datediff('started_at', 'ended_at', 'second') }} as wall_seconds,
        exit_code,
        exit_signal,
        dbt_version,
        manifest_hash,
        is_full_refresh,
        selection,
        target,
        case
            when is_retry
                then coalesce(
                    max(case when is_build and not is_retry and invocation_id is not null then run_id end) over (
                        partition by project, environment, command, selection, same_build_number
                    ),
                    max(case when is_build and not is_retry and invocation_id is not null then run_id end) over (
                        partition by project, environment, build_number
                    )
                )
        end as completes_run_id,
        cast(newest_build_number as bigint) as newest_build_number,
        git_sha,
        git_branch,
        actor,
        pull_request,
        repository_url,
        ci_url,
        log_tail,
        error_line
    from numbered

)

select * from final
