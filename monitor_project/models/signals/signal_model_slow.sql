-- Models that took far longer than they usually do; see fct_model_durations for what is usual.
with

judged as (

    select
        *,
        coalesce(is_slow, false) as is_bad
    from {{ ref('fct_model_durations') }}

),

telling as (

    select *
    from {{ turning_points('judged', ['project', 'environment', 'node_id'], 'is_bad', ['observed_at', 'invocation_id']) }}
        as turning_points

),

nodes as (

    select * from {{ ref('dim_nodes') }}

),

observed as (

    select
        {{ surrogate_key(["'model_slow'", 'telling.project', 'telling.environment', 'telling.node_id']) }} as signal_key,
        'model_slow' as kind,
        telling.project,
        telling.environment,
        telling.observed_at,
        telling.invocation_id,
        telling.is_bad,
        'warning' as severity,
        'model ' || {{ node_label('nodes.node_name', 'telling.node_id') }} || case when telling.is_bad then ' is slow' else ' is as fast as usual' end
            as title,
        cast(round(cast(telling.execution_seconds as decimal(18, 4)), 0) as {{ dbt.type_string() }}) || ' seconds; usual are '
        || cast(round(cast(telling.usual_seconds as decimal(18, 4)), 0) as {{ dbt.type_string() }}) as detail,
        telling.node_id,
        nodes.owner,
        {{ json_object({
            'path': 'nodes.path',
            'execution_seconds': 'telling.execution_seconds',
            'usual_seconds': 'telling.usual_seconds'
        }) }} as evidence
    from telling
    left join nodes
        on
            telling.project = nodes.project
            and telling.environment = nodes.environment
            and telling.node_id = nodes.node_id

)

{{ signal_columns('observed') }}
