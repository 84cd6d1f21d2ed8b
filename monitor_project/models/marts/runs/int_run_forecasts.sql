-- When the build of each deadline was, or is, expected to end, by the builds before it, and from when it was at risk of being late. Two rules:
-- a build that runs is at risk when half of the earlier ones that took longer than it has run so far would end too late, and one that is
-- longer than all of them is expected to take as long again; a build that has not started (or, where starts are not recorded, not ended) by
-- the usual time is expected to be delayed by as long again as it is already.
with

expectations as (

    select
        *,
        {{ surrogate_key(['project', 'environment', 'command', 'selection', 'due_time']) }} as deadline_id
    from {{ ref('int_run_expectations') }}
    where
        next_build_at is null
        or next_build_at >= {{ dbt.dateadd('day', '-' ~ var('baseline_days'), as_of()) }}

),

ended as (

    select
        expectations.*,
        builds.started_at as build_started_at,
        {{ seconds_between('builds.started_at', 'expectations.next_build_at') }} as build_seconds,
        {{ seconds_between('expectations.due_at', 'builds.started_at') }} as start_offset_seconds,
        {{ seconds_between('expectations.due_at', 'expectations.next_build_at') }} as end_offset_seconds,
        row_number() over (
            partition by expectations.deadline_id
            order by expectations.expected_from_at, expectations.run_expectation_id
        ) as cycle_number
    from expectations
    left join {{ ref('fct_invocations') }} as builds
        on
            expectations.project = builds.project
            and expectations.environment = builds.environment
            and expectations.next_run_id = builds.run_id

),

starts as (

    select * from {{ ref('int_build_starts') }}

),

recorded as (

    select
        project,
        environment,
        run_id,
        max(command) as command
    from starts
    group by project, environment, run_id

),

-- Starts without results: of builds that run now, or that were killed. Whether they would count for the cadence, their command line shows.
without_results as (

    select
        ended.run_expectation_id,
        starts.started_at,
        starts.ended_at
    from ended
    inner join starts
        on
            ended.project = starts.project
            and ended.environment = starts.environment
    left join recorded
        on
            ended.project = recorded.project
            and ended.environment = recorded.environment
            and ended.last_run_id = recorded.run_id
    where
        starts.run_id = starts.job_run_id
        and (
            (
                starts.started_at >= coalesce(ended.last_build_at, ended.expected_from_at)
                and (ended.next_build_at is null or starts.started_at < ended.next_build_at)
            )
            -- The same command runs now, since before the last build ended.
            or (ended.next_build_at is null and starts.settled_at is null and starts.command = recorded.command)
        )
        and {{ is_of_cadence('starts.command', 'ended') }}
        and ({{ is_whole_command('starts.command') }} or not ended.is_of_whole_project)
        and position(' retry' in starts.command) = 0

),

-- All that ran for a deadline: the build that counted, whenever it started, and those without results.
tries as (

    select
        ended.run_expectation_id,
        starts.started_at,
        starts.ended_at
    from ended
    inner join starts
        on
            ended.project = starts.project
            and ended.environment = starts.environment
            and ended.next_run_id = starts.run_id

    union all

    select * from without_results

),

-- One that follows takes over.
attempts as (

    select
        run_expectation_id,
        started_at,
        case when ended_at is null or next_started_at < ended_at then next_started_at else ended_at end as ended_at
    from (
        select
            run_expectation_id,
            started_at,
            max(ended_at) as ended_at,
            lead(started_at) over (
                partition by run_expectation_id
                order by started_at
            ) as next_started_at
        from tries
        group by run_expectation_id, started_at
    ) as followed_tries

),

cycles as (

    select
        ended.*,
        recorded.run_id is not null and {{ is_of_cadence('recorded.command', 'ended') }} as is_start_recorded
    from ended
    left join recorded
        on
            ended.project = recorded.project
            and ended.environment = recorded.environment
            and ended.last_run_id = recorded.run_id

),

-- Joined by equality with each of the cycles before.
distances as (

    {%- for prior in range(var('baseline_runs') | int(1)) %}
    select {{ prior + 1 }} as distance
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

wanted as (

    select
        cycles.run_expectation_id,
        cycles.deadline_id,
        cycles.is_start_recorded,
        cycles.cycle_number - distances.distance as prior_number
    from cycles
    cross join distances
    where
        cycles.next_build_at is null
        or cycles.next_build_at >= {{ dbt.dateadd('day', '-' ~ var('judged_days'), as_of()) }}

),

priors as (

    select
        wanted.run_expectation_id,
        cycles.build_seconds,
        case when wanted.is_start_recorded then cycles.start_offset_seconds else cycles.end_offset_seconds end as offset_seconds
    from wanted
    inner join cycles
        on
            wanted.deadline_id = cycles.deadline_id
            and wanted.prior_number = cycles.cycle_number
    where
        cycles.build_seconds is not null
        and cycles.due_at is not null

),

numbered as (

    select
        *,
        row_number() over (
            partition by run_expectation_id
            order by build_seconds
        ) as length_number,
        row_number() over (
            partition by run_expectation_id
            order by offset_seconds
        ) as offset_number,
        count(*) over (partition by run_expectation_id) as prior_count
    from priors

),

usual as (

    select
        run_expectation_id,
        {{ quantile_of('build_seconds', 'length_number', 'prior_count', 0.5) }} as p50_seconds,
        {{ quantile_of('build_seconds', 'length_number', 'prior_count', 0.9) }} as p90_seconds,
        {{ quantile_of('offset_seconds', 'offset_number', 'prior_count', 0.9) }} as usual_offset_seconds
    from numbered
    group by run_expectation_id, prior_count
    having prior_count >= {{ var('baseline_least_runs') }}

),

-- Of each attempt, how many of the builds before would be in time if they had started then.
slacks as (

    select
        attempts.run_expectation_id,
        attempts.started_at,
        attempts.ended_at,
        {{ seconds_between('attempts.started_at', 'cycles.due_at') }} as slack_seconds
    from attempts
    inner join cycles
        on attempts.run_expectation_id = cycles.run_expectation_id

),

compared as (

    select
        slacks.*,
        numbered.build_seconds,
        numbered.length_number,
        numbered.prior_count,
        sum(case when numbered.build_seconds <= slacks.slack_seconds then 1 else 0 end) over (
            partition by slacks.run_expectation_id, slacks.started_at
        ) as in_time_count
    from slacks
    inner join numbered
        on slacks.run_expectation_id = numbered.run_expectation_id
    where numbered.prior_count >= {{ var('baseline_least_runs') }}

),

-- Of the builds that took longer than the first 2 * in_time_count + 1 - prior_count of them, half would end too late.
lengths as (

    select
        run_expectation_id,
        started_at,
        max(ended_at) as ended_at,
        case
            when in_time_count = prior_count then greatest(max(build_seconds), slack_seconds / 2)
            else coalesce(max(case when length_number <= 2 * in_time_count + 1 - prior_count then build_seconds end), 0)
        end as run_before_risk_seconds
    from compared
    group by run_expectation_id, started_at, slack_seconds, in_time_count, prior_count

),

risks_of_attempts as (

    select
        *,
        {{ add_seconds('started_at', 'run_before_risk_seconds') }} as risk_at
    from lengths

),

waits as (

    select
        cycles.run_expectation_id,
        {{ add_seconds(
            'cycles.due_at',
            "case
                when cycles.is_start_recorded then least(-usual.p50_seconds, (usual.usual_offset_seconds - usual.p50_seconds) / 2)
                else least(0, usual.usual_offset_seconds / 2)
            end"
        ) }} as waited_until_at
    from cycles
    inner join usual
        on cycles.run_expectation_id = usual.run_expectation_id

),

-- While a build runs nothing is waited for; after one that was killed it is.
waited as (

    select
        waits.run_expectation_id,
        greatest(waits.waited_until_at, coalesce(max(attempts.ended_at), waits.waited_until_at)) as risk_at,
        max(case when attempts.started_at <= waits.waited_until_at and attempts.ended_at is null then 1 else 0 end) as is_running
    from waits
    left join attempts
        on
            waits.run_expectation_id = attempts.run_expectation_id
            and waits.waited_until_at >= attempts.started_at
    group by waits.run_expectation_id, waits.waited_until_at

),

risks as (

    select
        run_expectation_id,
        risk_at,
        cast(null as {{ dbt.type_timestamp() }}) as started_at
    from waited
    where is_running = 0

    union all

    select
        run_expectation_id,
        risk_at,
        started_at
    from risks_of_attempts
    where ended_at is null or ended_at > risk_at

),

first_risks as (

    select *
    from (
        select
            risks.run_expectation_id,
            greatest(risks.risk_at, cycles.expected_from_at) as risk_at,
            risks.started_at,
            row_number() over (
                partition by risks.run_expectation_id
                order by risks.risk_at, risks.started_at
            ) as risk_number
        from risks
        inner join cycles
            on risks.run_expectation_id = cycles.run_expectation_id
        where
            risks.risk_at < cycles.due_at
            and risks.risk_at < coalesce(cycles.next_build_at, cycles.due_at)
            and risks.risk_at <= {{ as_of() }}
    ) as numbered_risks
    where risk_number = 1

),

running as (

    select
        run_expectation_id,
        max(started_at) as started_at
    from attempts
    where ended_at is null
    group by run_expectation_id

),

final as (

    select
        cycles.run_expectation_id,
        cycles.deadline_id,
        cycles.project,
        cycles.environment,
        cycles.command,
        cycles.selection,
        cycles.due_time,
        cycles.timezone,
        cycles.local_time,
        cycles.due_at,
        cycles.next_run_id,
        cycles.next_build_at,
        coalesce(cycles.build_started_at, running.started_at) as started_at,
        cycles.is_start_recorded,
        cast(usual.p50_seconds as double) as p50_seconds,
        cast(usual.p90_seconds as double) as p90_seconds,
        {{ add_seconds('coalesce(cycles.build_started_at, running.started_at)', 'usual.p50_seconds') }} as expected_p50_at,
        {{ add_seconds('coalesce(cycles.build_started_at, running.started_at)', 'usual.p90_seconds') }} as expected_p90_at,
        {{ add_seconds('cycles.due_at', 'usual.usual_offset_seconds') }} as usual_at,
        first_risks.risk_at as at_risk_at,
        first_risks.started_at as running_at_risk_since
    from cycles
    left join usual
        on cycles.run_expectation_id = usual.run_expectation_id
    left join first_risks
        on cycles.run_expectation_id = first_risks.run_expectation_id
    left join running
        on cycles.run_expectation_id = running.run_expectation_id
    where
        cycles.next_build_at is null
        or cycles.next_build_at >= {{ dbt.dateadd('day', '-' ~ var('judged_days'), as_of()) }}

)

select * from final
