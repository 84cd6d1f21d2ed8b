-- The critical path of a job: from the node that ended last, back through the node that it waited for and that ended last, and so on. What a
-- node waits for is what dbt's queue makes it wait for: its parents; tests of one node hold up the children of that node, tests of several
-- nodes what is downstream of all of them; unit tests wait for the parents of their model and hold up the model. Where one of these did not
-- run, such as an ephemeral or unselected model, what it waits for takes its place. Dependencies are those of each command's own manifest.
-- Hooks and retries are left out.
with recursive

jobs as (

    select *
    from (
        select
            project,
            environment,
            job_key,
            row_number() over (
                partition by project, environment
                order by ended_at desc, job_key desc
            ) as newest_number
        from {{ ref('fct_jobs') }}
    ) as numbered_jobs
    where newest_number <= {{ var('detailed_builds') }}

),

commands as (

    select
        invocations.project,
        invocations.environment,
        invocations.invocation_id,
        invocations.manifest_hash,
        job_invocations.job_key
    from jobs
    inner join {{ ref('fct_job_invocations') }} as job_invocations
        on
            jobs.project = job_invocations.project
            and jobs.environment = job_invocations.environment
            and jobs.job_key = job_invocations.job_key
    inner join {{ ref('fct_invocations') }} as invocations
        on
            job_invocations.project = invocations.project
            and job_invocations.environment = invocations.environment
            and job_invocations.run_id = invocations.run_id
    where
        job_invocations.job_rule != 'retry'
        and invocations.invocation_id is not null

),

executions as (

    select *
    from (
        select
            executions.node_execution_id,
            executions.project,
            executions.environment,
            executions.invocation_id,
            executions.node_id,
            executions.resource_type,
            executions.started_at,
            executions.completed_at,
            commands.job_key,
            commands.manifest_hash,
            {{ surrogate_key(['executions.project', 'executions.environment', 'commands.job_key', 'executions.node_id']) }} as job_node_key,
            row_number() over (
                partition by executions.project, executions.environment, commands.job_key, executions.node_id
                order by executions.completed_at desc, executions.node_execution_id asc
            ) as newest_number
        from {{ ref('fct_node_executions') }} as executions
        inner join commands
            on
                executions.project = commands.project
                and executions.environment = commands.environment
                and executions.invocation_id = commands.invocation_id
        where
            executions.started_at is not null
            and executions.completed_at is not null
            and executions.resource_type != 'operation'
    ) as numbered_executions
    where newest_number = 1

),

manifests as (

    select distinct manifest_hash
    from executions
    where manifest_hash is not null

),

edges as (

    select distinct
        manifests.manifest_hash,
        dependencies.unique_id as child_id,
        dependencies.parent_unique_id as parent_id,
        nodes.resource_type as child_type
    from manifests
    inner join {{ ref('stg_history__manifest_nodes') }} as manifest_nodes
        on manifests.manifest_hash = manifest_nodes.manifest_hash
    inner join {{ ref('stg_history__node_dependencies') }} as dependencies
        on manifest_nodes.node_hash = dependencies.node_hash
    inner join {{ ref('stg_history__nodes') }} as nodes
        on manifest_nodes.node_hash = nodes.node_hash
    where nodes.resource_type != 'exposure'

),

tests as (

    select
        *,
        count(*) over (partition by manifest_hash, child_id) as tested_count
    from edges
    where child_type = 'test'

),

-- What is downstream of each node that a test of several nodes reads. union, not union all: each node is reached once, over any number of paths.
below_tested as (

    select
        tests.manifest_hash,
        tests.child_id as test_id,
        tests.parent_id as tested_id,
        tests.tested_count,
        edges.child_id as node_id
    from tests
    inner join edges
        on
            tests.manifest_hash = edges.manifest_hash
            and tests.parent_id = edges.parent_id
    where
        tests.tested_count > 1
        and edges.child_type not in ('test', 'unit_test')

    union

    select
        below_tested.manifest_hash,
        below_tested.test_id,
        below_tested.tested_id,
        below_tested.tested_count,
        edges.child_id as node_id
    from below_tested
    inner join edges
        on
            below_tested.manifest_hash = edges.manifest_hash
            and below_tested.node_id = edges.parent_id
    where edges.child_type not in ('test', 'unit_test')

),

below_all as (

    select
        manifest_hash,
        test_id,
        node_id
    from below_tested
    group by manifest_hash, test_id, node_id, tested_count
    having count(*) = tested_count

),

-- The first of them on each path: what is below them waits for them.
held_by_tests as (

    select
        below_all.manifest_hash,
        below_all.node_id as child_id,
        below_all.test_id as parent_id
    from below_all
    left join edges
        on
            below_all.manifest_hash = edges.manifest_hash
            and below_all.node_id = edges.child_id
    left join below_all as above
        on
            edges.manifest_hash = above.manifest_hash
            and edges.parent_id = above.node_id
            and below_all.test_id = above.test_id
    group by below_all.manifest_hash, below_all.node_id, below_all.test_id
    having count(above.node_id) = 0

),

without_unit_tests as (

    select
        manifest_hash,
        child_id,
        parent_id
    from edges
    where child_type != 'unit_test'

    union

    select
        blocked.manifest_hash,
        blocked.child_id,
        tests.child_id as parent_id
    from tests
    inner join edges as blocked
        on
            tests.manifest_hash = blocked.manifest_hash
            and tests.parent_id = blocked.parent_id
    where
        tests.tested_count = 1
        and blocked.child_type not in ('test', 'unit_test')

    union

    select
        manifest_hash,
        child_id,
        parent_id
    from held_by_tests

),

unit_tests as (

    select
        manifest_hash,
        child_id as unit_test_id,
        parent_id as model_id
    from edges
    where child_type = 'unit_test'

),

waits_for as (

    select * from without_unit_tests

    union

    select
        manifest_hash,
        model_id as child_id,
        unit_test_id as parent_id
    from unit_tests

    union

    select
        unit_tests.manifest_hash,
        unit_tests.unit_test_id as child_id,
        without_unit_tests.parent_id
    from unit_tests
    inner join without_unit_tests
        on
            unit_tests.manifest_hash = without_unit_tests.manifest_hash
            and unit_tests.model_id = without_unit_tests.child_id

),

-- Up from each node, through what did not run, to what ran.
reached as (

    select
        executions.node_execution_id,
        executions.project,
        executions.environment,
        executions.job_key,
        executions.manifest_hash,
        waits_for.parent_id as reached_id
    from executions
    inner join waits_for
        on
            executions.manifest_hash = waits_for.manifest_hash
            and executions.node_id = waits_for.child_id

    union

    select
        reached.node_execution_id,
        reached.project,
        reached.environment,
        reached.job_key,
        reached.manifest_hash,
        waits_for.parent_id as reached_id
    from reached
    inner join waits_for
        on
            reached.manifest_hash = waits_for.manifest_hash
            and reached.reached_id = waits_for.child_id
    left join executions as present
        on present.job_node_key = {{ surrogate_key(['reached.project', 'reached.environment', 'reached.job_key', 'reached.reached_id']) }}
    where present.node_execution_id is null

),

-- Joins the parent on a single key and compares times after the window: otherwise the planner may first join all nodes of a run with each
-- other. Ends and starts are measured by two clock readings, so that an end up to 10 milliseconds after the start is before it.
waits as (

    select
        children.node_execution_id,
        children.started_at,
        parents.node_execution_id as parent_execution_id,
        parents.completed_at as parent_completed_at,
        {{ seconds_between('children.started_at', 'parents.completed_at') }} <= 0.01 as is_before,
        row_number() over (
            partition by children.node_execution_id
            order by
                {{ seconds_between('children.started_at', 'parents.completed_at') }} <= 0.01 desc,
                parents.completed_at desc,
                parents.node_execution_id asc
        ) as latest_number
    from reached
    inner join executions as children
        on reached.node_execution_id = children.node_execution_id
    inner join executions as parents
        on parents.job_node_key = {{ surrogate_key(['reached.project', 'reached.environment', 'reached.job_key', 'reached.reached_id']) }}

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
        max(completed_at) over (partition by project, environment, job_key) as job_completed_at,
        row_number() over (
            partition by project, environment, job_key
            order by completed_at desc, node_execution_id asc
        ) as end_number
    from executions

),

-- The limit ends the recursion where clock readings make a circle.
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
    where chain.steps_from_end < 10000

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
        numbered.job_key,
        numbered.node_id,
        numbered.resource_type,
        numbered.started_at,
        numbered.completed_at,
        {{ seconds_between('numbered.started_at', 'numbered.completed_at') }} as run_seconds,
        case
            when latest_waits.parent_completed_at is not null
                then greatest({{ seconds_between('latest_waits.parent_completed_at', 'numbered.started_at') }}, 0)
        end as wait_seconds,
        greatest(
            {{ seconds_between('numbered.completed_at', 'coalesce(first_waiting.first_started_at, numbered.job_completed_at)') }}, 0
        ) as slack_seconds,
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
