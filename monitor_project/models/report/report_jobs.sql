-- The newest jobs of each environment with the parts of their time, and which of them are shown by node: the newest, as long as their results
-- together stay within what a page can hold.
with

commands as (

    select
        job_invocations.project,
        job_invocations.environment,
        job_invocations.job_key,
        case
            when count(*) = count(invocations.wall_seconds) and count(*) = count(invocations.elapsed_seconds)
                then sum(case when invocations.wall_seconds > invocations.elapsed_seconds then invocations.elapsed_seconds else invocations.wall_seconds end)
        end as dbt_seconds,
        case when count(*) = count(invocations.wall_seconds) then sum(invocations.wall_seconds) end as command_seconds,
        max(invocations.dbt_version) as dbt_version
    from {{ ref('fct_job_invocations') }} as job_invocations
    inner join {{ ref('fct_invocations') }} as invocations
        on
            job_invocations.project = invocations.project
            and job_invocations.environment = invocations.environment
            and job_invocations.run_id = invocations.run_id
    group by job_invocations.project, job_invocations.environment, job_invocations.job_key

),

numbered as (

    select
        *,
        row_number() over (
            partition by project, environment
            order by ended_at desc, job_key desc
        ) as newest_number
    from {{ ref('fct_jobs') }}

),

recent as (

    select
        *,
        sum(result_count) over (
            order by newest_number asc, ended_at desc, project asc, environment asc
            rows between unbounded preceding and current row
        ) as results_so_far
    from numbered
    where newest_number <= {{ var('report_jobs') }}

),

final as (

    select
        recent.project,
        recent.environment,
        recent.job_key,
        recent.job_status,
        recent.command,
        recent.selection,
        recent.started_at,
        recent.ended_at,
        recent.wall_seconds,
        recent.usual_seconds,
        cast(commands.command_seconds - commands.dbt_seconds as double) as start_seconds,
        cast(commands.dbt_seconds as double) as dbt_seconds,
        cast(
            case
                when recent.wall_seconds > commands.command_seconds then recent.wall_seconds - commands.command_seconds
                when recent.wall_seconds <= commands.command_seconds then 0
            end as double
        ) as between_seconds,
        recent.invocation_count,
        recent.retry_count,
        recent.result_count,
        commands.dbt_version,
        recent.git_sha,
        recent.git_branch,
        recent.actor,
        recent.ci_url,
        recent.newest_number = 1
        or (recent.newest_number <= {{ var('report_detailed_jobs') }} and recent.results_so_far <= {{ var('report_executions') }}) as has_executions
    from recent
    left join commands
        on
            recent.project = commands.project
            and recent.environment = commands.environment
            and recent.job_key = commands.job_key

)

select * from final
