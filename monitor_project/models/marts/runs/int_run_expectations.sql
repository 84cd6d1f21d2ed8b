-- Each build of a cadence with the instant at which the next one is due: its end plus cadence plus grace, moved to the next expected day. A
-- cadence may name a command and a selection. One without a selection counts builds of the whole project where there were two of them, so
-- that hourly parts do not stand in for a nightly build, and all builds elsewhere.
with

builds as (

    select
        *,
        case
            when invocation_id is not null then {{ is_whole_project('selection') }}
            -- Without results the command line alone shows what was selected.
            else command not like '% -s %' and command not like '% -m %' and command not like '% --select%' and command not like '% --model%'
        end as is_whole_project
    from {{ ref('fct_invocations') }}
    where
        is_build
        and not is_retry
        and invocation_status in ('success', 'failure', 'unknown')

),

whole_projects as (

    select
        project,
        environment,
        command
    from builds
    where is_whole_project
    group by project, environment, command
    having count(*) >= 2

),

cadences as (

    select
        cadences.*,
        cadences.selection is null and exists (
            select 1
            from whole_projects
            where
                whole_projects.project = cadences.project
                and whole_projects.environment = cadences.environment
                and (cadences.command is null or cadences.command = whole_projects.command)
        ) as is_of_whole_project
    from {{ strictest_cadences() }} as cadences

),

expected as (

    select
        cadences.project,
        cadences.environment,
        cadences.command,
        cadences.selection,
        cadences.every_hours,
        cadences.grace_hours,
        cadences.days,
        cadences.since,
        builds.run_id,
        builds.ended_at
    from cadences
    left join builds
        on
            cadences.project = builds.project
            and cadences.environment = builds.environment
            and (
                cadences.command is null
                or cadences.command = builds.command
                or (builds.invocation_id is null and builds.command like '%dbt ' || cadences.command || '%')
            )
            and (cadences.selection is null or builds.selection like '%"' || cadences.selection || '"%')
            and (builds.is_whole_project or not cadences.is_of_whole_project)

),

sequenced as (

    select
        *,
        row_number() over (
            partition by project, environment, command, selection
            order by ended_at, run_id
        ) as build_number,
        lead(run_id) over (
            partition by project, environment, command, selection
            order by ended_at, run_id
        ) as next_run_id,
        lead(ended_at) over (
            partition by project, environment, command, selection
            order by ended_at, run_id
        ) as next_build_at
    from expected

),

spaced as (

    select
        project,
        environment,
        command,
        selection,
        every_hours,
        grace_hours,
        days,
        run_id,
        ended_at as last_build_at,
        -- Nothing is expected before `since`.
        case when since > ended_at then cast(since as {{ dbt.type_timestamp() }}) else ended_at end as expected_from_at,
        next_run_id,
        next_build_at
    from sequenced
    where
        run_id is not null
        and (since is null or next_build_at is null or next_build_at >= since)

    union all

    -- From a cadence's `since` date to its first build ever, if that came later.
    select
        project,
        environment,
        command,
        selection,
        every_hours,
        grace_hours,
        days,
        cast(null as {{ dbt.type_string() }}) as run_id,
        cast(null as {{ dbt.type_timestamp() }}) as last_build_at,
        cast(since as {{ dbt.type_timestamp() }}) as expected_from_at,
        run_id as next_run_id,
        ended_at as next_build_at
    from sequenced
    where
        build_number = 1
        and since is not null
        and (ended_at is null or ended_at >= since)

),

elapsed as (

    select
        *,
        {{ add_seconds('expected_from_at', bounded('(every_hours + coalesce(grace_hours, 0)) * 3600', 'threshold')) }} as elapsed_at
    from spaced

),

due as (

    select
        *,
        case
            {%- for later in range(7) %}
            when coalesce(days, '') = '' or lower(days) like '%' || {{ weekday(add_seconds('elapsed_at', later * 86400)) }} || '%'
                then {{ add_seconds('elapsed_at', later * 86400) }}
            {%- endfor %}
            else elapsed_at
        end as due_at
    from elapsed

),

final as (

    select
        {{ surrogate_key(['project', 'environment', 'command', 'selection', 'due_at']) }} as run_expectation_id,
        project,
        environment,
        command,
        selection,
        run_id as last_run_id,
        last_build_at,
        every_hours,
        expected_from_at,
        due_at,
        next_run_id,
        next_build_at
    from due

)

select * from final
