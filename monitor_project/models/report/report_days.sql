-- Builds, results, reuse and cost of each day, for the report's strip and its charts.
with

monitor as (

    select * from {{ ref('dim_monitor') }}

),

health as (

    select health.*
    from {{ ref('fct_build_health_daily') }} as health
    inner join monitor
        on health.build_date > cast({{ dbt.dateadd('day', -90, 'monitor.as_of') }} as date)

),

results as (

    select
        result_counts.project,
        result_counts.environment,
        cast(result_counts.generated_at as date) as build_date,
        sum(result_counts.result_count) as result_count,
        sum(result_counts.reused_count) as reused_count
    from {{ ref('int_result_counts') }} as result_counts
    inner join monitor
        on result_counts.generated_at <= monitor.as_of
    where result_counts.is_build
    group by result_counts.project, result_counts.environment, cast(result_counts.generated_at as date)

),

costs as (

    select
        project,
        environment,
        cast(observed_at as date) as build_date,
        sum(bytes_processed) as bytes_processed,
        sum(slot_milliseconds) as slot_milliseconds
    from {{ ref('fct_node_costs') }}
    group by project, environment, cast(observed_at as date)

),

final as (

    select
        health.project,
        health.environment,
        health.build_date,
        health.build_count,
        health.success_count,
        health.failure_count,
        health.incomplete_count,
        health.unjudged_count,
        health.build_success_rate,
        health.test_pass_count,
        health.test_warn_count,
        health.test_fail_count,
        health.test_pass_rate,
        cast(results.result_count as bigint) as result_count,
        cast(results.reused_count as bigint) as reused_count,
        cast(costs.bytes_processed as bigint) as bytes_processed,
        cast(costs.slot_milliseconds as bigint) as slot_milliseconds
    from health
    left join results
        on
            health.project = results.project
            and health.environment = results.environment
            and health.build_date = results.build_date
    left join costs
        on
            health.project = costs.project
            and health.environment = costs.environment
            and health.build_date = costs.build_date

)

select * from final
