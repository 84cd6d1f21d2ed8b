-- The job of each command that builds or tests. Commands belong together if they have one job id and end within a day of each other, or if each
-- begins within job_gap_minutes of the end of those before it: an orchestrator runs each model by a command of its own, or `dbt seed`,
-- `dbt run` and `dbt test` follow each other. A command that is repeated begins another job. A `dbt build` of the whole project without a
-- common job id is alone. A retry belongs to the build that it completes.
with

builds as (

    select
        project,
        environment,
        run_id,
        command,
        selection,
        completes_run_id,
        coalesce(started_at, ended_at) as began_at,
        ended_at,
        case when count(*) over (partition by project, environment, job_id) > 1 then job_id end as shared_job_id,
        invocation_id is null
        or (command = 'build' and {{ is_whole_project('selection') }}) as is_whole_build
    from {{ ref('fct_invocations') }}
    where is_build

),

{%- set series = 'project, environment, shared_job_id' %}

followed as (

    select
        *,
        is_whole_build and shared_job_id is null as is_alone,
        max(ended_at) over (
            partition by {{ series }}
            order by began_at, run_id
            rows between unbounded preceding and 1 preceding
        ) as prior_ended_at,
        lag(is_whole_build and shared_job_id is null) over (
            partition by {{ series }}
            order by began_at, run_id
        ) as was_alone
    from builds
    where completes_run_id is null

),

sequenced as (

    select
        *,
        sum(
            case
                when is_alone or coalesce(was_alone, true) then 1
                when shared_job_id is not null and began_at <= {{ add_seconds('prior_ended_at', 86400) }} then 0
                when shared_job_id is null and began_at <= {{ add_seconds('prior_ended_at', var('job_gap_minutes') * 60) }} then 0
                else 1
            end
        ) over (
            partition by {{ series }}
            order by began_at, run_id
            rows between unbounded preceding and current row
        ) as sequence_number
    from followed

),

-- How often the same command ran in the sequence so far: its second time begins another job.
repeated as (

    select
        *,
        row_number() over (
            partition by {{ series }}, sequence_number, command, selection
            order by began_at, run_id
        ) as repetition_number
    from sequenced

),

passed as (

    select
        *,
        max(repetition_number) over (
            partition by {{ series }}, sequence_number
            order by began_at, run_id
            rows between unbounded preceding and current row
        ) as pass_number
    from repeated

),

keyed as (

    select
        project,
        environment,
        run_id,
        first_value(run_id) over (
            partition by {{ series }}, sequence_number, pass_number
            order by began_at, run_id
        ) as job_key,
        case
            when count(*) over (partition by {{ series }}, sequence_number, pass_number) = 1 then 'alone'
            when shared_job_id is not null then 'job id'
            else 'close in time'
        end as job_rule
    from passed

),

final as (

    select
        {{ surrogate_key(['builds.project', 'builds.environment', 'builds.run_id']) }} as job_invocation_id,
        builds.project,
        builds.environment,
        builds.run_id,
        coalesce(keyed.job_key, completed.job_key, builds.completes_run_id) as job_key,
        coalesce(keyed.job_rule, 'retry') as job_rule
    from builds
    left join keyed
        on
            builds.project = keyed.project
            and builds.environment = keyed.environment
            and builds.run_id = keyed.run_id
    left join keyed as completed
        on
            builds.project = completed.project
            and builds.environment = completed.environment
            and builds.completes_run_id = completed.run_id

)

select * from final
