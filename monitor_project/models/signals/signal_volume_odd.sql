-- Builds of a node that affected far more or far fewer rows than usual, for adapters that report rows affected.
with

-- Joined by equality, so that DuckDB skips the blocks of other dates.
baseline_dates as (

    select distinct counts.run_date
    from {{ ref('int_result_counts') }} as counts
    inner join {{ ref('int_newest_instant') }} as newest
        on counts.run_date >= newest.baseline_from_date

),

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
    inner join baseline_dates
        on executions.run_date = baseline_dates.run_date
    where
        executions.is_build
        and executions.outcome = 'success'
        and executions.resource_type in ('model', 'snapshot', 'seed')
        and executions.rows_affected is not null
        and {{ until_as_of('executions.observed_at') }}

),

compared as (

    select *
    from {{ against_rhythm(
        'executions',
        'rows_affected',
        ['project', 'environment', 'node_id', 'is_full_refresh'],
        ['observed_at', 'invocation_id']
    ) }} as compared_executions

),

judged as (

    select
        compared.*,
        abs(compared.deviations) > {{ var('volume_deviations') }}
        and abs(compared.rows_affected - compared.usual_value) > compared.usual_value * {{ var('volume_least_rate') }} as is_bad
    from compared
    -- Without a baseline there is no observation.
    inner join {{ ref('int_newest_instant') }} as newest
        on
            compared.observed_at >= newest.judged_from_date
            and compared.prior_run_count >= {{ var('baseline_least_runs') }}
            and compared.observed_at >= {{ dbt.dateadd('day', var('baseline_least_days'), 'compared.first_observed_at') }}

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
        {{ surrogate_key(["'volume_odd'", 'turning_points.project', 'turning_points.environment', 'turning_points.node_id']) }} as signal_key,
        'volume_odd' as kind,
        turning_points.project,
        turning_points.environment,
        turning_points.observed_at,
        turning_points.expected_until,
        turning_points.invocation_id,
        turning_points.is_bad,
        'warning' as severity,
        {{ node_label('nodes.node_name', 'turning_points.node_id') }}
        || case when turning_points.is_bad then ' has an unusual number of rows' else ' has as many rows as usual' end as title,
        cast(turning_points.rows_affected as {{ dbt.type_string() }}) || ' rows; usually '
        || cast(cast(round(turning_points.usual_value) as bigint) as {{ dbt.type_string() }}) as detail,
        turning_points.node_id,
        nodes.owner,
        {{ json_object({'path': 'nodes.path', 'rows_affected': 'turning_points.rows_affected', 'usual_rows': 'round(turning_points.usual_value)'}) }} as evidence
    from turning_points
    left join nodes
        on
            turning_points.project = nodes.project
            and turning_points.environment = nodes.environment
            and turning_points.node_id = nodes.node_id

)

{{ signal_columns('observed', 'expected_until') }}
