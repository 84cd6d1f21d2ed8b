-- The critical path of a build: from the node that ended last, back through the parent that ended last, and so on. A test blocks the
-- children of its model, so it counts as a parent of them.
with recursive

executions as (

    select
        executions.node_execution_id,
        executions.project,
        executions.environment,
        executions.invocation_id,
        executions.node_id,
        {{ surrogate_key(['executions.project', 'executions.environment', 'executions.invocation_id', 'executions.node_id']) }}
            as run_node_key,
        executions.resource_type,
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

edges as (

    select * from {{ ref('fct_lineage_edges') }}

),

waits_for as (

    select
        project,
        environment,
        child_id,
        parent_id
    from edges

    union

    select
        blocked.project,
        blocked.environment,
        blocked.child_id,
        tests.child_id as parent_id
    from edges as blocked
    inner join edges as tests
        on
            blocked.project = tests.project
            and blocked.environment = tests.environment
            and blocked.parent_id = tests.parent_id
    where
        tests.child_type = 'test'
        and blocked.child_type != 'test'

),

-- Joins the parent on a single key and compares times after the window: otherwise the planner may first join all nodes of a run with each other.
waits as (

    select
        children.node_execution_id,
        children.started_at,
        parents.node_execution_id as parent_execution_id,
        parents.completed_at as parent_completed_at,
        parents.completed_at <= children.started_at as is_before,
        row_number() over (
            partition by children.node_execution_id
            order by parents.completed_at <= children.started_at desc, parents.completed_at desc, parents.node_execution_id asc
        ) as latest_number
    from waits_for
    inner join executions as children
        on
            waits_for.project = children.project
            and waits_for.environment = children.environment
            and waits_for.child_id = children.node_id
    inner join executions as parents
        on
            parents.run_node_key
            = {{ surrogate_key(['children.project', 'children.environment', 'children.invocation_id', 'waits_for.parent_id']) }}

),

latest_waits as (

    select *
    from waits
    where
        latest_number = 1
        and is_before

),

numbered as (

    select
        *,
        max(completed_at) over (partition by project, environment, invocation_id) as run_completed_at,
        row_number() over (
            partition by project, environment, invocation_id
            order by completed_at desc, node_execution_id asc
        ) as end_number
    from executions

),

chain as (

    select
        node_execution_id,
        0 as steps_from_end
    from numbered
    where end_number = 1

    union all

    select
        latest_waits.parent_execution_id as node_execution_id,
        chain.steps_from_end + 1 as steps_from_end
    from chain
    inner join latest_waits on chain.node_execution_id = latest_waits.node_execution_id

),

first_waiting as (

    select
        parent_execution_id,
        min(started_at) as first_started_at
    from waits
    where is_before
    group by parent_execution_id

),

final as (

    select
        numbered.node_execution_id,
        numbered.project,
        numbered.environment,
        numbered.invocation_id,
        numbered.node_id,
        numbered.resource_type,
        numbered.started_at,
        numbered.completed_at,
        {{ seconds_between('numbered.started_at', 'numbered.completed_at') }} as run_seconds,
        {{ seconds_between('latest_waits.parent_completed_at', 'numbered.started_at') }} as wait_seconds,
        {{ seconds_between('numbered.completed_at', 'coalesce(first_waiting.first_started_at, numbered.run_completed_at)') }}
            as slack_seconds,
        chain.node_execution_id is not null as is_critical,
        cast(chain.steps_from_end as bigint) as steps_from_end
    from numbered
    left join latest_waits on numbered.node_execution_id = latest_waits.node_execution_id
    left join first_waiting
        on numbered.node_execution_id = first_waiting.parent_execution_id
    left join chain
        on numbered.node_execution_id = chain.node_execution_id

)

select * from final
