-- Each build of a cadence with the instant at which the next one is due: its end plus cadence plus grace, moved to the next expected day; by
-- a local time or cron expression, the first such time at least every_hours later, plus grace. A cadence may name a command and a selection. One without a selection counts builds of the whole project where there were two of them, so
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

due_rules as (

    select
        due_time,
        days,
        timezone,
        calendar,
        max(zone) as zone
    from {{ ref('int_due_times') }}
    where due_time != ''
    group by due_time, days, timezone, calendar

),

cadences as (

    select
        cadences.*,
        due_rules.zone,
        due_rules.zone is not null as is_by_time,
        -- Midnight of the day, where the times are local ones there.
        case
            when due_rules.zone is null then cast(cadences.since as {{ dbt.type_timestamp() }})
            else {{ instant_of('cadences.since', 'due_rules.zone') }}
        end as since_at,
        cadences.selection is null and exists (
            select 1
            from whole_projects
            where
                whole_projects.project = cadences.project
                and whole_projects.environment = cadences.environment
                and (cadences.command is null or cadences.command = whole_projects.command)
        ) as is_of_whole_project
    from {{ strictest_cadences() }} as cadences
    left join due_rules
        on
            cadences.due_time = due_rules.due_time
            and {{ weekdays_of('cadences.days') }} = due_rules.days
            and coalesce(cadences.timezone, '') = due_rules.timezone
            and coalesce(cadences.calendar, '') = due_rules.calendar

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
        cadences.calendar,
        cadences.timezone,
        cadences.since_at,
        cadences.due_time,
        cadences.is_by_time,
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
        calendar,
        timezone,
        due_time,
        is_by_time,
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
        calendar,
        timezone,
        due_time,
        is_by_time,
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
            when not is_by_time
                then {{ add_seconds('expected_from_at', bounded('(every_hours + coalesce(grace_hours, 0)) * 3600', 'threshold')) }}
            -- The first time after since.
            when last_build_at is null or last_build_at < expected_from_at then expected_from_at
            else {{ add_seconds('expected_from_at', bounded('every_hours * 3600', 'threshold')) }}
        end as elapsed_at
    from spaced

),

-- Without a time, the first expected day counts.
looked_up as (

    select
        *,
        case when is_by_time then due_time else '' end as rule_time,
        {{ weekdays_of('days') }} as rule_days,
        case when is_by_time then coalesce(timezone, '') else '' end as rule_timezone,
        coalesce(calendar, '') as rule_calendar,
        case when is_by_time then elapsed_at else cast({{ dbt.date_trunc('day', 'elapsed_at') }} as {{ dbt.type_timestamp() }}) end as earliest_at,
        -- A build that ended at such a time counts for it, so the next one is due later.
        case when is_by_time and last_build_at >= expected_from_at then 2 else 0 end as place
    from elapsed

),

instants as (

    select distinct
        rule_time,
        rule_days,
        rule_timezone,
        rule_calendar,
        earliest_at as instant,
        place,
        cast(null as {{ dbt.type_timestamp() }}) as due_at
    from looked_up
    where
        is_by_time
        or rule_days != ''
        or rule_calendar != ''

    union all

    select
        due_time as rule_time,
        days as rule_days,
        timezone as rule_timezone,
        calendar as rule_calendar,
        due_at as instant,
        1 as place,
        due_at
    from {{ ref('int_due_times') }}

),

followed as (

    select
        rule_time,
        rule_days,
        rule_timezone,
        rule_calendar,
        instant,
        place,
        case when next_at <= {{ add_seconds('instant', 'cast(' ~ var('due_days_ahead') ~ ' as bigint) * 86400') }} then next_at end as next_at
    from (
        select
            *,
            min(due_at) over (
                partition by rule_time, rule_days, rule_timezone, rule_calendar
                order by instant, place
                range between current row and unbounded following
            ) as next_at
        from instants
    ) as next_instants
    where due_at is null

),

due as (

    select
        looked_up.*,
        case
            when looked_up.is_by_time
                then {{ add_seconds('followed.next_at', bounded('coalesce(looked_up.grace_hours, 0) * 3600', 'threshold')) }}
            when followed.next_at > looked_up.earliest_at
                then {{ add_seconds('looked_up.elapsed_at', seconds_between('looked_up.earliest_at', 'followed.next_at')) }}
            else looked_up.elapsed_at
        end as due_at,
        case when looked_up.is_by_time then {{ local_time('followed.next_at', 'looked_up.zone') }} end as local_due_at
    from looked_up
    left join followed
        on
            looked_up.rule_time = followed.rule_time
            and looked_up.rule_days = followed.rule_days
            and looked_up.rule_timezone = followed.rule_timezone
            and looked_up.rule_calendar = followed.rule_calendar
            and looked_up.earliest_at = followed.instant
            and looked_up.place = followed.place

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
        due_time,
        case when is_by_time then zone end as timezone,
        case when is_by_time then substring(cast(local_due_at as {{ dbt.type_string() }}), 12, 5) end as local_time,
        is_of_whole_project
    from due

)

select * from final
