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

-- The day of a command is that of its job's end, as for health.
commands as (

    select
        job_invocations.project,
        job_invocations.environment,
        job_invocations.run_id,
        cast(jobs.ended_at as date) as build_date
    from {{ ref('fct_job_invocations') }} as job_invocations
    inner join {{ ref('fct_jobs') }} as jobs
        on
            job_invocations.project = jobs.project
            and job_invocations.environment = jobs.environment
            and job_invocations.job_key = jobs.job_key

),

results as (

    select
        commands.project,
        commands.environment,
        commands.build_date,
        sum(result_counts.result_count) as result_count,
        sum(result_counts.reused_count) as reused_count
    from commands
    inner join {{ ref('int_result_counts') }} as result_counts
        on
            commands.project = result_counts.project
            and commands.environment = result_counts.environment
            and commands.run_id = result_counts.invocation_id
    group by commands.project, commands.environment, commands.build_date

),

costs as (

    select
        commands.project,
        commands.environment,
        commands.build_date,
        sum(node_costs.bytes_processed) as bytes_processed,
        sum(node_costs.slot_milliseconds) as slot_milliseconds
    from commands
    inner join {{ ref('fct_node_costs') }} as node_costs
        on
            commands.project = node_costs.project
            and commands.environment = node_costs.environment
            and commands.run_id = node_costs.invocation_id
    group by commands.project, commands.environment, commands.build_date

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
        cast(costs.slot_milliseconds as bigint) as slot_milliseconds,
        cast(
            case
                when coalesce(costs.bytes_processed, costs.slot_milliseconds) is not null
                    then {{ cost_of('costs.bytes_processed', 'costs.slot_milliseconds') }}
            end as double
        ) as cost
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
