-- Builds in which a large share of the nodes failed with one and the same error: the warehouse, the credentials or a shared macro, and not
-- the nodes. Such a failure shows nothing about a single node.
with

executed as (

    select
        project,
        environment,
        invocation_id,
        node_status,
        observed_at,
        case when node_status in ('error', 'runtime error') then {{ error_summary('message') }} end as cause
    from {{ ref('fct_node_executions') }}
    where
        is_build
        and outcome in ('success', 'failure', 'warning')
        and observed_at <= {{ as_of() }}

),

counted as (

    select
        project,
        environment,
        invocation_id,
        count(*) as executed_count,
        max(observed_at) as observed_at
    from executed
    group by project, environment, invocation_id

),

causes as (

    select
        project,
        environment,
        invocation_id,
        cause,
        count(*) as alike_count,
        row_number() over (
            partition by project, environment, invocation_id
            order by count(*) desc, cause
        ) as cause_number
    from executed
    where cause is not null
    group by project, environment, invocation_id, cause

),

final as (

    select
        {{ surrogate_key(['counted.project', 'counted.environment', 'counted.invocation_id']) }} as mass_failure_id,
        counted.project,
        counted.environment,
        counted.invocation_id,
        counted.observed_at,
        counted.executed_count,
        causes.alike_count,
        causes.cause
    from counted
    inner join causes
        on
            counted.project = causes.project
            and counted.environment = causes.environment
            and counted.invocation_id = causes.invocation_id
            and causes.cause_number = 1
    where
        causes.alike_count >= {{ var('mass_failure_least_nodes') }}
        and causes.alike_count >= {{ var('mass_failure_rate') }} * counted.executed_count

)

select * from final
