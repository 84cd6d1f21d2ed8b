-- Number of nodes that ran at once, from their start and end: thread names differ between dbt versions, and some are empty.
with

executions as (

    select
        executions.project,
        executions.environment,
        executions.invocation_id,
        executions.node_id,
        executions.started_at,
        executions.completed_at
    from {{ ref('fct_node_executions') }} as executions
    inner join {{ ref('fct_invocations') }} as invocations
        on
            executions.project = invocations.project
            and executions.environment = invocations.environment
            and executions.invocation_id = invocations.invocation_id
    where
        invocations.newest_build_number <= {{ var('detailed_builds') }}
        and executions.started_at is not null
        and executions.completed_at is not null

),

events as (

    select
        project,
        environment,
        invocation_id,
        node_id,
        started_at as happened_at,
        1 as change
    from executions

    union all

    select
        project,
        environment,
        invocation_id,
        node_id,
        completed_at as happened_at,
        -1 as change
    from executions

),

-- At one instant ends come before starts: a node that starts when another ends does not run beside it.
swept as (

    select
        project,
        environment,
        invocation_id,
        happened_at,
        sum(change) over (
            partition by project, environment, invocation_id
            order by happened_at, change, node_id
            rows between unbounded preceding and current row
        ) as busy_count,
        lead(happened_at) over (
            partition by project, environment, invocation_id
            order by happened_at, change, node_id
        ) as next_happened_at
    from events

),

measured as (

    select
        project,
        environment,
        invocation_id,
        min(happened_at) as first_started_at,
        max(happened_at) as last_completed_at,
        max(busy_count) as peak_busy_count,
        sum({{ seconds_between('happened_at', 'coalesce(next_happened_at, happened_at)') }}) as span_seconds,
        sum(busy_count * {{ seconds_between('happened_at', 'coalesce(next_happened_at, happened_at)') }}) as node_seconds
    from swept
    group by project, environment, invocation_id

),

final as (

    select
        project,
        environment,
        invocation_id,
        first_started_at,
        last_completed_at,
        span_seconds,
        node_seconds,
        cast(peak_busy_count as bigint) as peak_busy_count,
        node_seconds / nullif(span_seconds, 0) as mean_busy_count,
        1 - node_seconds / nullif(span_seconds * peak_busy_count, 0) as idle_rate
    from measured

)

select * from final
