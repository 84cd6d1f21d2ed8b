-- Builds that should have come by their cadence and did not. Observed at the instant the rule was broken, never at the moment of
-- looking: the last build, plus its cadence, plus the grace.
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

spaced as (

    select
        builds.project,
        builds.environment,
        builds.run_id,
        builds.ended_at,
        cadences.every_hours,
        lead(builds.ended_at) over (
            partition by builds.project, builds.environment
            order by builds.ended_at, builds.run_id
        ) as next_ended_at,
        {{ dbt.dateadd(
            'second', 'cast((cadences.every_hours + cadences.grace_hours) * 3600 as bigint)', 'builds.ended_at'
        ) }} as due_at
    from builds
    inner join cadences
        on
            builds.project = cadences.project
            and builds.environment = cadences.environment

),

-- Cadences that say since when, and of which no build ever came.
never_built as (

    select
        cadences.project,
        cadences.environment,
        cadences.every_hours,
        cast(cadences.since as {{ dbt.type_timestamp() }}) as since_at,
        {{ dbt.dateadd(
            'second',
            'cast((cadences.every_hours + cadences.grace_hours) * 3600 as bigint)',
            'cast(cadences.since as ' ~ dbt.type_timestamp() ~ ')'
        ) }} as due_at
    from cadences
    left join builds
        on
            cadences.project = builds.project
            and cadences.environment = builds.environment
    where
        builds.run_id is null
        and cadences.since is not null

),

-- One good observation at each build, one bad where the next came too late or has not come.
moments as (

    select
        project,
        environment,
        run_id,
        every_hours,
        ended_at as last_build_at,
        ended_at as observed_at,
        false as is_bad
    from spaced

    union all

    select
        project,
        environment,
        run_id,
        every_hours,
        ended_at as last_build_at,
        due_at as observed_at,
        true as is_bad
    from spaced
    where due_at < coalesce(next_ended_at, {{ as_of() }})

    union all

    select
        project,
        environment,
        cast(null as {{ dbt.type_string() }}) as run_id,
        every_hours,
        cast(null as {{ dbt.type_timestamp() }}) as last_build_at,
        due_at as observed_at,
        true as is_bad
    from never_built
    where due_at < {{ as_of() }}

),

observed as (

    select
        {{ surrogate_key(["'run_missing'", 'project', 'environment']) }} as signal_key,
        'run_missing' as kind,
        project,
        environment,
        observed_at,
        run_id as invocation_id,
        is_bad,
        'error' as severity,
        'a build is missing' as title,
        coalesce(
            'last build ' || cast({{ dbt.date_trunc('minute', 'last_build_at') }} as {{ dbt.type_string() }}) || ' UTC',
            'none ever came'
        ) || '; one is expected every '
        || cast(every_hours as {{ dbt.type_string() }}) || ' hours' as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        cast(null as {{ dbt.type_string() }}) as owner,
        {{ json_object({'last_build_at': 'cast(last_build_at as ' ~ dbt.type_string() ~ ')'}) }} as evidence
    from moments

)

{{ signal_columns('observed') }}
