-- Vars whose defaults do not fit what was built so far.
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
        case when lower(environment) in ('prod', 'production', 'prd', 'live', 'main') then 1 else 0 end as is_production,
        count(*) over () as environment_count,
        sum(max(case when is_alerting then 1 else 0 end)) over () as alerting_count
    from environments
    group by environment

),

-- Where no environment is alerted of: the ones with a usual name of production, else the only one.
alerting as (

    select
        environment,
        build_count,
        last_build_at
    from named
    where
        alerting_count = 0
        and (is_production = 1 or (environment_count = 1 and environment != 'unknown'))

),

checks as (

    select
        project,
        environment,
        node_id,
        {{ seconds_between('lag(observed_at) over (partition by project, environment, node_id order by observed_at)', 'observed_at') }}
        / 3600 as interval_hours
    from {{ ref('fct_source_freshness') }}

),

slowest_check as (

    select
        max(interval_hours) as longest_hours,
        count(interval_hours) as interval_count
    from checks

),

slowest_model as (

    select max(p50_seconds) as longest_seconds
    from {{ ref('fct_model_durations') }}
    where
        is_latest
        and prior_run_count >= {{ var('baseline_least_runs') }}

),

final as (

    select
        'alerting_environments' as var_name,
        environment as var_value,
        'builds of ' || environment || ': ' || cast(build_count as {{ dbt.type_string() }}) || ', the last on '
        || cast(cast(last_build_at as date) as {{ dbt.type_string() }}) as evidence
    from alerting

    union all

    select
        'source_unchecked_hours' as var_name,
        cast(cast(ceil(longest_hours * 1.1) as bigint) as {{ dbt.type_string() }}) as var_value,
        'hours between freshness checks: at most ' || cast(cast(longest_hours as decimal(18, 1)) as {{ dbt.type_string() }})
        || ' in ' || cast(interval_count as {{ dbt.type_string() }}) as evidence
    from slowest_check
    where
        interval_count >= {{ var('baseline_least_runs') }}
        and longest_hours > {{ var('source_unchecked_hours') }}
        and longest_hours <= 24 * {{ var('longest_run_interval_days') }}

    union all

    -- A model that takes a tenth of slow_least_seconds would have to become ten times slower before an alert.
    select
        'slow_least_seconds' as var_name,
        cast(cast(ceil(greatest(longest_seconds * 5, 5)) as bigint) as {{ dbt.type_string() }}) as var_value,
        'the slowest model usually takes ' || cast(cast(longest_seconds as decimal(18, 1)) as {{ dbt.type_string() }}) || ' seconds' as evidence
    from slowest_model
    where longest_seconds * 10 < {{ var('slow_least_seconds') }}

)

select * from final
