-- Each build of a cadence with the instant at which the next one is due: its end plus cadence plus grace, moved to the next expected day; by
-- a local time, the first such time at least every_hours later, plus grace. A cadence may name a command and a selection. One without a selection counts builds of the whole project where there were two of them, so
-- that hourly parts do not stand in for a nightly build, and all builds elsewhere.
with

builds as (

    select
        *,
        case
            when invocation_id is not null then {{ is_whole_project('selection') }}
            -- Without results the command line alone shows what was selected.
            else {{ is_whole_command('command') }}
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
        {{ seconds_of_day('cadences.due_time') }} as due_seconds,
        -- Midnight of the day, where the times are local ones there.
        case
            when {{ seconds_of_day('cadences.due_time') }} is null or zones.name is null then cast(cadences.since as {{ dbt.type_timestamp() }})
            else {{ instant_of('cadences.since', 'cadences.timezone') }}
        end as since_at,
        case when zones.name is null then 'UTC' else cadences.timezone end as zone,
        cadences.selection is null and exists (
            select 1
            from whole_projects
            where
                whole_projects.project = cadences.project
                and whole_projects.environment = cadences.environment
                and (cadences.command is null or cadences.command = whole_projects.command)
        ) as is_of_whole_project
    from {{ strictest_cadences() }} as cadences
    left join {{ known_timezones() }} as zones
        on cadences.timezone = zones.name

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
        cadences.since_at,
        cadences.due_time,
        cadences.due_seconds,
        cadences.zone,
        cadences.is_of_whole_project,
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
            partition by project, environment, command, selection, due_time
            order by ended_at, run_id
        ) as build_number,
        lead(run_id) over (
            partition by project, environment, command, selection, due_time
            order by ended_at, run_id
        ) as next_run_id,
        lead(ended_at) over (
            partition by project, environment, command, selection, due_time
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
        due_time,
        due_seconds,
        zone,
        is_of_whole_project,
        run_id,
        ended_at as last_build_at,
        -- Nothing is expected before `since`.
        case when since_at > ended_at then since_at else ended_at end as expected_from_at,
        next_run_id,
        next_build_at
    from sequenced
    where
        run_id is not null
        and (since_at is null or next_build_at is null or next_build_at >= since_at)

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
        due_time,
        due_seconds,
        zone,
        is_of_whole_project,
        cast(null as {{ dbt.type_string() }}) as run_id,
        cast(null as {{ dbt.type_timestamp() }}) as last_build_at,
        since_at as expected_from_at,
        run_id as next_run_id,
        ended_at as next_build_at
    from sequenced
    where
        build_number = 1
        and since_at is not null
        and (ended_at is null or ended_at >= since_at)

),

elapsed as (

    select
        *,
        case
            when due_seconds is null
                then {{ add_seconds('expected_from_at', bounded('(every_hours + coalesce(grace_hours, 0)) * 3600', 'threshold')) }}
            -- The first time after since.
            when last_build_at is null or last_build_at < expected_from_at then expected_from_at
            else {{ add_seconds('expected_from_at', bounded('every_hours * 3600', 'threshold')) }}
        end as elapsed_at
    from spaced

),

dated as (

    select
        *,
        case
            when due_seconds is not null then cast(cast({{ local_time('elapsed_at', 'zone') }} as date) as {{ dbt.type_timestamp() }})
        end as local_midnight
    from elapsed

),

due as (

    select
        *,
        case
            when due_seconds is null
                then
                    case
                        {%- for later in range(7) %}
                        when coalesce(days, '') = '' or lower(days) like '%' || {{ weekday(add_seconds('elapsed_at', later * 86400)) }} || '%'
                            then {{ add_seconds('elapsed_at', later * 86400) }}
                        {%- endfor %}
                        else elapsed_at
                    end
            else
                case
                    {%- for later in range(9) %}
                    {%- set local = add_seconds('local_midnight', later * 86400 ~ ' + due_seconds') %}
                    when
                        (coalesce(days, '') = '' or lower(days) like '%' || {{ weekday(local) }} || '%')
                        and {{ instant_of(local, 'zone') }} >= elapsed_at
                        then {{ add_seconds(instant_of(local, 'zone'), bounded('coalesce(grace_hours, 0) * 3600', 'threshold')) }}
                    {%- endfor %}
                    else elapsed_at
                end
        end as due_at
    from dated

),

final as (

    select
        {{ surrogate_key(['project', 'environment', 'command', 'selection', 'due_time', 'due_at', 'run_id']) }} as run_expectation_id,
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
        next_build_at,
        case when due_seconds is not null then due_time end as due_time,
        case when due_seconds is not null then zone end as timezone,
        is_of_whole_project
    from due

)

select * from final
