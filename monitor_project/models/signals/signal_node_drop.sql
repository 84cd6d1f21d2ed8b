-- Builds that ran far fewer nodes than is usual for their command and selection: a selector that matches less than before, or nothing.
with

judged as (

    select
        *,
        is_drop as is_bad
    from {{ ref('fct_node_drop') }}
    where is_drop is not null

),

turning_points as (

    select *
    from {{ turning_points('judged', ['project', 'environment', 'command', 'selection'], 'is_bad', ['ended_at', 'run_id']) }}
        as turning_points

),

observed as (

    select
        {{ surrogate_key(["'node_drop'", 'project', 'environment', 'command', 'selection']) }} as signal_key,
        'node_drop' as kind,
        project,
        environment,
        ended_at as observed_at,
        expected_until,
        run_id as invocation_id,
        is_bad,
        'warning' as severity,
        'dbt ' || command || case when is_bad then ' ran far fewer nodes than usual' else ' ran as many nodes as usual' end as title,
        cast(result_count as {{ dbt.type_string() }}) || ' results; usually '
        || cast(cast(round(cast(usual_result_count as decimal(18, 2)), 0) as bigint) as {{ dbt.type_string() }}) as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        cast(null as {{ dbt.type_string() }}) as owner,
        {{ json_object({'selection': 'selection', 'result_count': 'result_count', 'usual_result_count': 'usual_result_count'}) }} as evidence
    from turning_points

)

{{ signal_columns('observed', 'expected_until') }}
