-- Deadlines that will probably be missed. Bad from the instant at which that could be known, good at the end
-- of a build in time, and over at the deadline, from which the build is missing.
with

forecasts as (

    select * from {{ ref('int_run_forecasts') }}
    where at_risk_at is not null

),

moments as (

    select
        *,
        at_risk_at as observed_at,
        cast(null as {{ dbt.type_string() }}) as invocation_id,
        true as is_bad
    from forecasts

    union all

    select
        *,
        next_build_at as observed_at,
        next_run_id as invocation_id,
        false as is_bad
    from forecasts
    where next_build_at <= due_at

    union all

    select
        *,
        due_at as observed_at,
        cast(null as {{ dbt.type_string() }}) as invocation_id,
        cast(null as boolean) as is_bad
    from forecasts
    where
        due_at <= {{ as_of() }}
        and (next_build_at is null or next_build_at > due_at)

),

observed as (

    select
        {{ surrogate_key(["'deadline_at_risk'", 'deadline_id']) }} as signal_key,
        'deadline_at_risk' as kind,
        project,
        environment,
        observed_at,
        invocation_id,
        is_bad,
        'warning' as severity,
        case
            when selection is not null then 'a build of ' || selection
            when command is not null then 'a dbt ' || command
            else 'a build'
        end || ' will probably not be done by '
        || coalesce(local_time || ' ' || timezone, substring(cast(due_at as {{ dbt.type_string() }}), 1, 16) || ' UTC') as title,
        case
            when running_at_risk_since is not null
                then 'running since ' || substring(cast(running_at_risk_since as {{ dbt.type_string() }}), 1, 16) || ' UTC; it usually takes '
                    || {{ duration_text('p50_seconds') }}
            when is_start_recorded then 'not started; usually it has started by ' || substring(cast(usual_at as {{ dbt.type_string() }}), 12, 5) || ' UTC'
            else 'not done; usually it is done by ' || substring(cast(usual_at as {{ dbt.type_string() }}), 12, 5) || ' UTC'
        end as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        cast(null as {{ dbt.type_string() }}) as owner,
        {{ json_object({
            'due_at': 'cast(due_at as ' ~ dbt.type_string() ~ ')',
            'expected_p50_at': 'cast(expected_p50_at as ' ~ dbt.type_string() ~ ')',
            'expected_p90_at': 'cast(expected_p90_at as ' ~ dbt.type_string() ~ ')',
        }) }} as evidence
    from moments

)

{{ signal_columns('observed') }}
