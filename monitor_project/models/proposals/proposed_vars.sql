-- Vars whose defaults do not fit what was built so far, by the environments that alert, or that would by the first of the proposals.
with

environments as (

    select * from {{ ref('dim_environments') }}
    where build_count > 0

),

named as (

    select
        environment,
        sum(build_count) as build_count,
        max(last_build_at) as last_build_at,
        max(case when is_alerting then 1 else 0 end) as is_alerting,
        case when lower(environment) in ('prod', 'production', 'prd', 'live', 'main') then 1 else 0 end as is_production,
        count(*) over () as environment_count,
        sum(max(case when is_alerting then 1 else 0 end)) over () as alerting_count
    from environments
    group by environment

),

-- Where no environment alerts: those with a usual name of production, else the only one, once it was built more than a few times.
watched as (

    select
        environment,
        build_count,
        last_build_at,
        is_alerting
    from named
    where
        is_alerting = 1
        or (
            alerting_count = 0
            and (
                is_production = 1
                or (environment_count = 1 and environment != 'unknown' and build_count >= {{ var('baseline_least_runs') }})
            )
        )

),

checks as (

    select
        freshness.project,
        freshness.environment,
        freshness.node_id,
        {{ seconds_between(
            'lag(freshness.observed_at) over (partition by freshness.project, freshness.environment, freshness.node_id order by freshness.observed_at)',
            'freshness.observed_at'
        ) }} / 3600 as interval_hours
    from {{ ref('fct_source_freshness') }} as freshness
    inner join watched
        on freshness.environment = watched.environment

),

ordered_checks as (

    select
        *,
        row_number() over (
            partition by project, environment, node_id
            order by interval_hours
        ) as interval_number,
        count(*) over (partition by project, environment, node_id) as interval_count
    from checks
    where interval_hours is not null

),

-- The source that is usually checked least often.
slowest_check as (

    select max(interval_hours) as longest_hours
    from ordered_checks
    where
        interval_number = floor((interval_count + 1) / 2)
        and interval_count >= {{ var('baseline_least_runs') }} - 1

),

slowest_model as (

    select max(durations.p50_seconds) as longest_seconds
    from {{ ref('fct_model_durations') }} as durations
    inner join watched
        on durations.environment = watched.environment
    where
        durations.is_latest
        and durations.prior_run_count >= {{ var('baseline_least_runs') }}

),

final as (

    select
        'alerting_environments' as var_name,
        environment as var_value,
        'builds of ' || environment || ': ' || cast(build_count as {{ dbt.type_string() }}) || ', the last on '
        || cast(cast(last_build_at as date) as {{ dbt.type_string() }}) as evidence
    from watched
    where is_alerting = 0

    union all

    select
        'source_unchecked_hours' as var_name,
        cast(cast(ceil(longest_hours * 1.5) as bigint) as {{ dbt.type_string() }}) as var_value,
        'usual hours between freshness checks of the source that is checked least often: '
        || cast(cast(longest_hours as decimal(18, 1)) as {{ dbt.type_string() }}) as evidence
    from slowest_check
    where
        longest_hours > {{ var('source_unchecked_hours') }}
        and longest_hours <= 24 * {{ var('longest_run_interval_days') }}

    union all

    -- A model that takes a tenth of slow_least_seconds would have to become ten times slower before an alert.
    select
        'slow_least_seconds' as var_name,
        cast(cast(ceil(greatest(longest_seconds * 5, 5)) as bigint) as {{ dbt.type_string() }}) as var_value,
        'usual seconds of the slowest model: ' || cast(cast(longest_seconds as decimal(18, 1)) as {{ dbt.type_string() }}) as evidence
    from slowest_model
    where longest_seconds * 10 < {{ var('slow_least_seconds') }}

)

select * from final
