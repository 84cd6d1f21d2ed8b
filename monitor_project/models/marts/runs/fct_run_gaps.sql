-- Overdue builds: no build ended by the end of the last one plus cadence plus grace. due_at is that instant, whenever the monitor runs.
with

builds as (

    select * from {{ ref('fct_invocations') }}
    where
        is_build
        and not is_retry
        and invocation_id is not null
        and invocation_status not in ('interrupted', 'empty')

),

cadences as (

    select * from {{ ref('run_cadences') }}

),

first_builds as (

    select *
    from (
        select
            *,
            row_number() over (
                partition by project, environment
                order by ended_at, run_id
            ) as build_number
        from builds
    ) as numbered
    where build_number = 1

),

spaced as (

    select
        builds.project,
        builds.environment,
        builds.run_id,
        builds.ended_at as last_build_at,
        cadences.every_hours,
        cadences.grace_hours,
        lead(builds.run_id) over (
            partition by builds.project, builds.environment
            order by builds.ended_at, builds.run_id
        ) as next_run_id,
        lead(builds.ended_at) over (
            partition by builds.project, builds.environment
            order by builds.ended_at, builds.run_id
        ) as next_build_at
    from builds
    inner join cadences
        on
            builds.project = cadences.project
            and builds.environment = cadences.environment

    union all

    -- From a cadence's `since` date to the first build ever, if that came later.
    select
        cadences.project,
        cadences.environment,
        cast(null as {{ dbt.type_string() }}) as run_id,
        cast(cadences.since as {{ dbt.type_timestamp() }}) as last_build_at,
        cadences.every_hours,
        cadences.grace_hours,
        first_builds.run_id as next_run_id,
        first_builds.ended_at as next_build_at
    from cadences
    left join first_builds
        on
            cadences.project = first_builds.project
            and cadences.environment = first_builds.environment
    where
        cadences.since is not null
        and (first_builds.ended_at is null or first_builds.ended_at >= cadences.since)

),

due as (

    select
        *,
        {{ add_seconds('last_build_at', bounded('(every_hours + coalesce(grace_hours, 0)) * 3600', 'threshold')) }} as due_at
    from spaced

),

final as (

    select
        {{ surrogate_key(['project', 'environment', 'due_at']) }} as run_gap_id,
        project,
        environment,
        run_id as last_run_id,
        case when run_id is not null then last_build_at end as last_build_at,
        every_hours,
        due_at,
        next_run_id,
        next_build_at,
        {{ seconds_between('last_build_at', 'coalesce(next_build_at, ' ~ as_of() ~ ')') }} / 3600 as gap_hours
    from due
    where due_at < coalesce(next_build_at, {{ as_of() }})

)

select * from final
