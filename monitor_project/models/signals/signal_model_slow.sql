-- Models that took far longer than usual, by the baseline in fct_model_durations. Without a baseline there is no observation: a full refresh
-- does not end the incident of a slow increment.
with

judged as (

    select
        *,
        is_slow as is_bad
    from {{ ref('fct_model_durations') }}
    where is_slow is not null

),

turning_points as (

    select *
    from {{ turning_points('judged', ['project', 'environment', 'node_id'], 'is_bad', ['observed_at', 'invocation_id']) }}
        as turning_points

),

nodes as (

    select * from {{ ref('dim_nodes_ever') }}

),

observed as (

    select
        {{ surrogate_key(["'model_slow'", 'turning_points.project', 'turning_points.environment', 'turning_points.node_id']) }} as signal_key,
        'model_slow' as kind,
        turning_points.project,
        turning_points.environment,
        turning_points.observed_at,
        turning_points.expected_until,
        turning_points.invocation_id,
        turning_points.is_bad,
        'warning' as severity,
        'model ' || {{ node_label('nodes.node_name', 'turning_points.node_id') }} || case when turning_points.is_bad then ' is slow' else ' is as fast as usual' end
            as title,
        cast(round(cast(turning_points.execution_seconds as decimal(18, 4)), 0) as {{ dbt.type_string() }}) || ' seconds; usually '
        || cast(round(cast(turning_points.usual_seconds as decimal(18, 4)), 0) as {{ dbt.type_string() }}) as detail,
        turning_points.node_id,
        nodes.owner,
        {{ json_object({
            'path': 'nodes.path',
            'execution_seconds': 'turning_points.execution_seconds',
            'usual_seconds': 'turning_points.usual_seconds'
        }) }} as evidence
    from turning_points
    left join nodes
        on
            turning_points.project = nodes.project
            and turning_points.environment = nodes.environment
            and turning_points.node_id = nodes.node_id

)

{{ signal_columns('observed', 'expected_until') }}
