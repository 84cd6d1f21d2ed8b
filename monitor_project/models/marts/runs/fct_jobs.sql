-- Builds as people count them: the commands that belong together, with the retries that completed them. A failure from which
-- a retry recovered does not count; otherwise a job is as bad as its worst command.
with

commands as (

    select
        invocations.*,
        job_invocations.job_key,
        job_invocations.job_rule,
        row_number() over (
            partition by invocations.project, invocations.environment, coalesce(invocations.completes_run_id, invocations.run_id)
            order by invocations.ended_at desc, invocations.run_id desc
        ) as newest_try_number,
        row_number() over (
            partition by invocations.project, invocations.environment, job_invocations.job_key
            order by invocations.is_retry, coalesce(invocations.started_at, invocations.ended_at), invocations.run_id
        ) as command_number,
        row_number() over (
            partition by invocations.project, invocations.environment, job_invocations.job_key
            order by invocations.ended_at desc, invocations.run_id desc
        ) as newest_command_number
    from {{ ref('fct_invocations') }} as invocations
    inner join {{ ref('fct_job_invocations') }} as job_invocations
        on
            invocations.project = job_invocations.project
            and invocations.environment = job_invocations.environment
            and invocations.run_id = job_invocations.run_id

),

judged as (

    select
        *,
        case
            when newest_try_number > 1 then null
            when invocation_status in ('failure', 'interrupted', 'did not start') then 4
            when invocation_status = 'unknown' then 3
            when invocation_status = 'success' then 2
            else 1
        end as badness,
        case invocation_status when 'interrupted' then 3 when 'did not start' then 2 else 1 end as kind_of_failure
    from commands

),

summed as (

    select
        project,
        environment,
        job_key,
        min(case when job_rule != 'retry' then job_rule end) as job_rule,
        min(coalesce(started_at, ended_at)) as started_at,
        case when count(*) = count(started_at) then min(started_at) end as known_started_at,
        max(ended_at) as ended_at,
        count(*) as invocation_count,
        sum(case when is_retry then 1 else 0 end) as retry_count,
        max(badness) as badness,
        max(case when badness = 4 then kind_of_failure end) as kind_of_failure,
        sum(result_count) as result_count,
        max(case when command_number = 1 then command end) as command,
        max(case when command_number = 1 then selection end) as selection,
        max(case when newest_command_number = 1 then git_sha end) as git_sha,
        max(case when newest_command_number = 1 then git_branch end) as git_branch,
        max(case when newest_command_number = 1 then actor end) as actor,
        max(case when newest_command_number = 1 then ci_url end) as ci_url
    from judged
    group by project, environment, job_key

),

described as (

    select
        {{ surrogate_key(['project', 'environment', 'job_key']) }} as job_record_id,
        project,
        environment,
        job_key,
        coalesce(job_rule, 'retry') as job_rule,
        started_at,
        ended_at,
        {{ dbt.datediff('known_started_at', 'ended_at', 'second') }} as wall_seconds,
        case
            when badness = 4 and kind_of_failure = 3 then 'interrupted'
            when badness = 4 and kind_of_failure = 2 then 'did not start'
            when badness = 4 then 'failure'
            when badness = 3 then 'unknown'
            when badness = 2 then 'success'
            else 'empty'
        end as job_status,
        cast(invocation_count as bigint) as invocation_count,
        cast(retry_count as bigint) as retry_count,
        cast(result_count as bigint) as result_count,
        command,
        selection,
        git_sha,
        git_branch,
        actor,
        ci_url
    from summed

),

succeeded as (

    select
        *,
        case when job_status = 'success' then wall_seconds end as success_seconds
    from described

),

{%- set series = ['project', 'environment', 'command', 'selection'] %}

-- A job that failed is compared with those that succeeded before it.
compared as (

    select
        *,
        count(success_seconds) over (
            partition by {{ series | join(', ') }}
            order by ended_at, job_key
            rows between {{ var('baseline_runs') }} preceding and 1 preceding
        ) as prior_success_count
    from {{ against_baseline('succeeded', 'success_seconds', series, ['ended_at', 'job_key']) }} as compared_jobs

),

final as (

    select
        job_record_id,
        project,
        environment,
        job_key,
        job_rule,
        started_at,
        ended_at,
        wall_seconds,
        job_status,
        invocation_count,
        retry_count,
        result_count,
        command,
        selection,
        git_sha,
        git_branch,
        actor,
        ci_url,
        case when prior_success_count >= {{ var('baseline_least_runs') }} then cast(usual_value as double) end as usual_seconds
    from compared

)

select * from final
