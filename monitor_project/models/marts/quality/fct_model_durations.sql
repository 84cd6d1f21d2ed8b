-- Each success is compared with the earlier successes of the same node, materialization and refresh mode: a view that became a table has no
-- baseline yet. slow_least_rate and slow_least_seconds ignore differences too small to matter.
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
        executions.node_execution_id,
        executions.project,
        executions.environment,
        executions.invocation_id,
        executions.node_id,
        executions.execution_seconds,
        executions.observed_at,
        contents.materialization,
        coalesce(invocations.is_full_refresh, false) as is_full_refresh
    from {{ ref('fct_node_executions') }} as executions
    inner join baseline_dates
        on executions.run_date = baseline_dates.run_date
    inner join {{ ref('fct_invocations') }} as invocations
        on
            executions.project = invocations.project
            and executions.environment = invocations.environment
            and executions.invocation_id = invocations.invocation_id
    left join {{ ref('dim_node_history') }} as contents
        on
            executions.project = contents.project
            and executions.environment = contents.environment
            and executions.node_id = contents.node_id
            and executions.generated_at >= contents.valid_from_at
            and executions.generated_at < coalesce(contents.valid_to_at, cast('9999-12-31' as {{ dbt.type_timestamp() }}))
    where
        executions.is_build
        and executions.outcome = 'success'
        and executions.resource_type in ('model', 'snapshot', 'seed')
        and executions.execution_seconds is not null
        and {{ until_as_of('executions.observed_at') }}

),

{%- set series = ['project', 'environment', 'node_id', 'materialization', 'is_full_refresh'] %}

compared as (

    select
        *,
        {{ percentile_within('execution_seconds', 0.5, series) }} as p50_seconds,
        {{ percentile_within('execution_seconds', 0.95, series) }} as p95_seconds,
        row_number() over (
            partition by {{ series | join(', ') }}
            order by observed_at desc, invocation_id desc
        ) as newest_number
    from {{ against_rhythm('executions', 'execution_seconds', series, ['observed_at', 'invocation_id']) }} as compared_executions

),

final as (

    select
        compared.node_execution_id,
        compared.project,
        compared.environment,
        compared.invocation_id,
        compared.node_id,
        compared.materialization,
        compared.is_full_refresh,
        compared.observed_at,
        compared.execution_seconds,
        cast(compared.prior_run_count as bigint) as prior_run_count,
        cast(compared.usual_value as double) as usual_seconds,
        cast(compared.deviations as double) as deviations,
        cast(compared.p50_seconds as double) as p50_seconds,
        cast(compared.p95_seconds as double) as p95_seconds,
        compared.newest_number = 1 as is_latest,
        case
            when
                compared.observed_at >= newest.judged_from_date
                and compared.prior_run_count >= {{ var('baseline_least_runs') }}
                and compared.observed_at >= {{ dbt.dateadd('day', var('baseline_least_days'), 'compared.first_observed_at') }}
                then
                    compared.deviations > {{ var('slow_deviations') }}
                    and compared.execution_seconds >= compared.usual_value * (1 + {{ var('slow_least_rate') }})
                    and compared.execution_seconds >= compared.usual_value + {{ var('slow_least_seconds') }}
        end as is_slow
    from compared
    -- One row.
    cross join {{ ref('int_newest_instant') }} as newest

)

select * from final
