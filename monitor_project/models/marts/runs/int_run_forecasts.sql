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

-- The first build that started in each cycle, whether it ended or not.
started as (

    select
        ended.run_expectation_id,
        min(starts.started_at) as started_at
    from ended
    inner join {{ ref('int_build_starts') }} as starts
        on
            ended.project = starts.project
            and ended.environment = starts.environment
    where
        starts.started_at >= coalesce(ended.last_build_at, ended.expected_from_at)
        and (ended.next_build_at is null or starts.started_at < ended.next_build_at)
        and {{ is_of_cadence('starts.command', 'ended') }}
    group by ended.run_expectation_id

),

cycles as (

    select
        ended.*,
        started.started_at,
        {{ seconds_between('started.started_at', 'ended.due_at') }} as slack_seconds,
        recorded.run_id is not null as is_start_recorded
    from ended
    left join started
        on ended.run_expectation_id = started.run_expectation_id
    left join (
        select distinct
            project,
            environment,
            run_id
        from {{ ref('int_build_starts') }}
    ) as recorded
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
        cycles.slack_seconds,
        cycles.is_start_recorded,
        cycles.cycle_number - distances.distance as prior_number
    from cycles
    cross join distances

),

priors as (

    select
        wanted.run_expectation_id,
        wanted.slack_seconds,
        cycles.build_seconds,
        case when wanted.is_start_recorded then cycles.start_offset_seconds else cycles.end_offset_seconds end as offset_seconds
    from wanted
    inner join cycles
        on
            wanted.deadline_id = cycles.deadline_id
            and wanted.prior_number = cycles.cycle_number
    where cycles.build_seconds is not null

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
        count(*) over (partition by run_expectation_id) as prior_count,
        sum(case when build_seconds <= slack_seconds then 1 else 0 end) over (partition by run_expectation_id) as in_time_count
    from priors

),

-- Of the builds that took longer than the first overtaken_count of them, half would end too late.
overtaken as (

    select
        *,
        greatest(0, 2 * in_time_count + 1 - prior_count) as overtaken_count
    from numbered

),

usual as (

    select
        run_expectation_id,
        prior_count,
        in_time_count,
        slack_seconds,
        {{ quantile_of('build_seconds', 'length_number', 'prior_count', 0.5) }} as p50_seconds,
        {{ quantile_of('build_seconds', 'length_number', 'prior_count', 0.9) }} as p90_seconds,
        {{ quantile_of('offset_seconds', 'offset_number', 'prior_count', 0.9) }} as usual_offset_seconds,
        max(build_seconds) as longest_seconds,
        coalesce(max(case when length_number <= overtaken_count then build_seconds end), 0) as overtaken_seconds
    from overtaken
    group by run_expectation_id, prior_count, in_time_count, slack_seconds
    having prior_count >= {{ var('baseline_least_runs') }}

),

offsets as (

    select
        cycles.*,
        usual.p50_seconds,
        usual.p90_seconds,
        usual.usual_offset_seconds,
        case when cycles.is_start_recorded then -usual.p50_seconds else 0 end as last_offset_seconds,
        case
            when usual.in_time_count = usual.prior_count then greatest(usual.longest_seconds, usual.slack_seconds / 2)
            else usual.overtaken_seconds
        end as run_before_risk_seconds
    from cycles
    left join usual
        on cycles.run_expectation_id = usual.run_expectation_id

),

moments as (

    select
        *,
        {{ add_seconds('due_at', 'least(last_offset_seconds, (usual_offset_seconds + last_offset_seconds) / 2)') }} as waited_until_at,
        {{ add_seconds('started_at', 'run_before_risk_seconds') }} as run_until_at
    from offsets

),

judged as (

    select
        *,
        case
            when waited_until_at < coalesce(started_at, {{ as_of() }}) then greatest(waited_until_at, expected_from_at)
            else run_until_at
        end as risk_at
    from moments

),

final as (

    select
        run_expectation_id,
        deadline_id,
        project,
        environment,
        command,
        selection,
        due_time,
        timezone,
        due_at,
        next_run_id,
        next_build_at,
        started_at,
        is_start_recorded,
        cast(p50_seconds as double) as p50_seconds,
        cast(p90_seconds as double) as p90_seconds,
        {{ add_seconds('started_at', 'p50_seconds') }} as expected_p50_at,
        {{ add_seconds('started_at', 'p90_seconds') }} as expected_p90_at,
        {{ add_seconds('due_at', 'usual_offset_seconds') }} as usual_at,
        case when risk_at < least(due_at, coalesce(next_build_at, due_at)) and risk_at <= {{ as_of() }} then risk_at end as at_risk_at,
        started_at is not null and started_at <= risk_at as is_running_at_risk
    from judged

)

select * from final
