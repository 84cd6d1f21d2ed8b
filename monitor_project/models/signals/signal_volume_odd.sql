-- Builds of a node that affected far more or far fewer rows than it usually does, where the adapter tells them.
with

executions as (

    select
        executions.project,
        executions.environment,
        executions.invocation_id,
        executions.node_id,
        executions.observed_at,
        executions.rows_affected,
        coalesce(invocations.is_full_refresh, false) as is_full_refresh
    from {{ ref('fct_node_executions') }} as executions
    inner join {{ ref('fct_invocations') }} as invocations
        on
            executions.project = invocations.project
            and executions.environment = invocations.environment
            and executions.invocation_id = invocations.invocation_id
    where
        executions.is_build
        and executions.outcome = 'success'
        and executions.resource_type in ('model', 'snapshot', 'seed')
        and executions.rows_affected is not null
        and executions.observed_at <= {{ as_of() }}
        and executions.run_date >= cast({{ dbt.dateadd('day', '-' ~ var('baseline_days'), as_of()) }} as date)

),

compared as (

    select *
    from {{ against_baseline(
        'executions',
        'rows_affected',
        ['project', 'environment', 'node_id', 'is_full_refresh'],
        ['observed_at', 'invocation_id']
    ) }} as compared_executions

),

judged as (

    select
        *,
        coalesce(
            prior_run_count >= {{ var('baseline_least_runs') }}
            and abs(rows_affected - usual_value) > {{ var('volume_deviations') }} * 1.4826 * usual_deviation
            and abs(rows_affected - usual_value) > usual_value * {{ var('volume_least_rate') }},
            false
        ) as is_bad
    from compared

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
        {{ surrogate_key(["'volume_odd'", 'telling.project', 'telling.environment', 'telling.node_id']) }} as signal_key,
        'volume_odd' as kind,
        telling.project,
        telling.environment,
        telling.observed_at,
        telling.invocation_id,
        telling.is_bad,
        'warning' as severity,
        {{ node_label('nodes.node_name', 'telling.node_id') }}
        || case when telling.is_bad then ' has an odd number of rows' else ' has as many rows as usual' end as title,
        cast(telling.rows_affected as {{ dbt.type_string() }}) || ' rows; usual are '
        || cast(cast(telling.usual_value as bigint) as {{ dbt.type_string() }}) as detail,
        telling.node_id,
        nodes.owner,
        {{ json_object({'path': 'nodes.path', 'rows_affected': 'telling.rows_affected', 'usual_rows': 'telling.usual_value'}) }} as evidence
    from telling
    left join nodes
        on
            telling.project = nodes.project
            and telling.environment = nodes.environment
            and telling.node_id = nodes.node_id

)

{{ signal_columns('observed') }}
