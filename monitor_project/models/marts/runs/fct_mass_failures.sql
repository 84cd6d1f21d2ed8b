-- Builds in which a large share of the nodes failed with one and the same error: the warehouse, the credentials or a shared macro, and not
-- the nodes. Such a failure shows nothing about a single node.
with

errors as (

    select
        project,
        environment,
        invocation_id,
        {{ error_summary('message') }} as cause
    -- All that did not succeed are among them.
    from {{ ref('int_turning_executions') }}
    where
        node_status in ('error', 'runtime error')
        and {{ until_as_of('observed_at') }}

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
    from errors
    where cause is not null
    group by project, environment, invocation_id, cause
    having count(*) >= {{ var('mass_failure_least_nodes') }}

),

counted as (

    select
        executions.project,
        executions.environment,
        executions.invocation_id,
        count(*) as executed_count,
        max(executions.observed_at) as observed_at
    from {{ ref('fct_node_executions') }} as executions
    inner join causes
        on
            executions.project = causes.project
            and executions.environment = causes.environment
            and executions.invocation_id = causes.invocation_id
            and causes.cause_number = 1
    where
        executions.is_build
        and executions.outcome in ('success', 'failure', 'warning')
        and {{ until_as_of('executions.observed_at') }}
    group by executions.project, executions.environment, executions.invocation_id

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
    where causes.alike_count >= {{ var('mass_failure_rate') }} * counted.executed_count

)

select * from final
