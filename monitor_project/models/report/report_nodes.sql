-- Each node of the newest manifest with its newest runs, its tests and what is written about it.
with

nodes as (

    select * from {{ ref('dim_nodes') }}

),

descriptions as (

    select
        node_hash,
        description
    from {{ ref('stg_history__nodes') }}

),

executions as (

    select
        executions.project,
        executions.environment,
        executions.node_id,
        executions.outcome,
        executions.observed_at,
        case executions.outcome
            when 'success' then 'P' when 'failure' then 'F' when 'warning' then 'W' when 'skipped' then 'S'
            when 'no-op' then 'N' when 'reused' then 'R' else 'U'
        end
        || coalesce(cast(round(cast(executions.execution_seconds as decimal(18, 4)), 2) as {{ dbt.type_string() }}), '') as run,
        row_number() over (
            partition by executions.project, executions.environment, executions.node_id
            order by executions.observed_at desc, executions.invocation_id desc
        ) as newest_number
    from {{ ref('fct_node_executions') }} as executions
    inner join {{ ref('dim_monitor') }} as monitor
        on executions.observed_at <= monitor.as_of
    where
        executions.is_build
        and executions.run_date > (
            select cast({{ dbt.dateadd('day', '-' ~ var('baseline_days'), 'dim_monitor.as_of') }} as date)
            from {{ ref('dim_monitor') }} as dim_monitor
        )

),

-- A letter and the seconds of each run, the oldest first.
histories as (

    select
        project,
        environment,
        node_id,
        count(*) as recent_run_count,
        max(case when newest_number = 1 then outcome end) as last_outcome,
        max(case when newest_number = 1 then observed_at end) as last_run_at,
        {{ dbt.listagg('run', "' '", 'order by newest_number desc') }} as recent_runs
    from executions
    where newest_number <= {{ var('report_node_runs') }}
    group by project, environment, node_id

),

durations as (

    select
        *,
        row_number() over (
            partition by project, environment, node_id
            order by observed_at desc, node_execution_id asc
        ) as newest_number
    from {{ ref('fct_model_durations') }}
    where is_latest

),

flaky as (

    select
        project,
        environment,
        node_id
    from {{ ref('fct_test_flakiness') }}
    where
        is_latest
        and is_flaky

),

tests as (

    select
        project,
        environment,
        attached_node_id,
        count(*) as test_count
    from nodes
    where attached_node_id is not null
    group by project, environment, attached_node_id

),

final as (

    select
        nodes.project,
        nodes.environment,
        nodes.node_id,
        nodes.node_name,
        nodes.resource_type,
        nodes.path,
        nodes.materialization,
        nodes.owner,
        nodes.package_name,
        nodes.tags,
        nodes.attached_node_id,
        nodes.column_name,
        substring(descriptions.description, 1, 400) as description,
        cast(coalesce(tests.test_count, 0) as bigint) as test_count,
        cast(coalesce(histories.recent_run_count, 0) as bigint) as recent_run_count,
        histories.last_outcome,
        histories.last_run_at,
        histories.recent_runs,
        durations.execution_seconds as last_seconds,
        durations.usual_seconds,
        durations.p50_seconds,
        durations.p95_seconds,
        durations.is_slow,
        flaky.node_id is not null as is_flaky
    from nodes
    left join descriptions
        on nodes.node_hash = descriptions.node_hash
    left join histories
        on
            nodes.project = histories.project
            and nodes.environment = histories.environment
            and nodes.node_id = histories.node_id
    left join durations
        on
            nodes.project = durations.project
            and nodes.environment = durations.environment
            and nodes.node_id = durations.node_id
            and durations.newest_number = 1
    left join flaky
        on
            nodes.project = flaky.project
            and nodes.environment = flaky.environment
            and nodes.node_id = flaky.node_id
    left join tests
        on
            nodes.project = tests.project
            and nodes.environment = tests.environment
            and nodes.node_id = tests.attached_node_id

)

select * from final
