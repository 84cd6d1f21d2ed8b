-- What each failure affects. A node is taken down if it was skipped in the same run. In a job of several commands, where an orchestrator does
-- not start what is downstream of a failure, it is also taken down if it ran in the job before and did not run in this one. With dbt's
-- on_error: continue, what is downstream of a failed model is built all the same, on old data. The recursion starts from failed nodes only, to
-- keep it small.
with recursive

failures as (

    select
        node_execution_id,
        project,
        environment,
        invocation_id,
        node_id,
        resource_type
    from {{ ref('int_failed_run_results') }}
    where
        outcome = 'failure'
        and {{ until_as_of('generated_at') }}

),

skips as (

    select
        project,
        environment,
        invocation_id,
        node_id,
        resource_type
    from {{ ref('int_failed_run_results') }}
    where outcome = 'skipped'

),

-- Models that were built in a run with a failed one.
successes as (

    select
        results.project,
        results.environment,
        results.invocation_id,
        results.node_id
    from {{ ref('int_failed_run_results') }} as results
    inner join (
        select distinct
            project,
            environment,
            invocation_id
        from failures
        where resource_type not in ('test', 'unit_test')
    ) as failed_runs
        on
            results.project = failed_runs.project
            and results.environment = failed_runs.environment
            and results.invocation_id = failed_runs.invocation_id
    where results.outcome = 'success'

),

-- Jobs of several commands, each with the one before it.
jobs as (

    select
        project,
        environment,
        job_key,
        lag(job_key) over (
            partition by project, environment
            order by ended_at, job_key
        ) as prior_job_key
    from {{ ref('fct_jobs') }}
    where invocation_count - retry_count > 1

),

job_invocations as (

    select * from {{ ref('fct_job_invocations') }}

),

failed_jobs as (

    select distinct
        failures.project,
        failures.environment,
        failures.invocation_id,
        jobs.job_key,
        jobs.prior_job_key
    from failures
    inner join job_invocations
        on
            failures.project = job_invocations.project
            and failures.environment = job_invocations.environment
            and failures.invocation_id = job_invocations.run_id
    inner join jobs
        on
            job_invocations.project = jobs.project
            and job_invocations.environment = jobs.environment
            and job_invocations.job_key = jobs.job_key
    where jobs.prior_job_key is not null

),

compared_jobs as (

    select
        project,
        environment,
        job_key
    from failed_jobs

    union

    select
        project,
        environment,
        prior_job_key as job_key
    from failed_jobs

),

nodes_of_jobs as (

    select distinct
        executions.project,
        executions.environment,
        job_invocations.job_key,
        executions.node_id
    from {{ ref('fct_node_executions') }} as executions
    inner join job_invocations
        on
            executions.project = job_invocations.project
            and executions.environment = job_invocations.environment
            and executions.invocation_id = job_invocations.run_id
    inner join compared_jobs
        on
            job_invocations.project = compared_jobs.project
            and job_invocations.environment = compared_jobs.environment
            and job_invocations.job_key = compared_jobs.job_key
    where executions.resource_type in ('model', 'snapshot', 'seed')

),

-- Nodes that ran in the job before, and not in this one.
absences as (

    select
        failed_jobs.project,
        failed_jobs.environment,
        failed_jobs.invocation_id,
        before.node_id
    from failed_jobs
    inner join nodes_of_jobs as before
        on
            failed_jobs.project = before.project
            and failed_jobs.environment = before.environment
            and failed_jobs.prior_job_key = before.job_key
    left join nodes_of_jobs as present
        on
            failed_jobs.project = present.project
            and failed_jobs.environment = present.environment
            and failed_jobs.job_key = present.job_key
            and before.node_id = present.node_id
    where present.node_id is null

),

nodes as (

    select * from {{ ref('dim_nodes_ever') }}

),

dependencies as (

    select * from {{ ref('fct_lineage_edges') }}

),

-- What is downstream of a node is the same at each of its failures.
failing_nodes as (

    select distinct
        project,
        environment,
        node_id,
        resource_type
    from failures

),

-- A failed node affects its descendants. A failed test affects those of the node it is attached to, or of all nodes it reads if it has none.
starts as (

    select
        failing_nodes.project,
        failing_nodes.environment,
        failing_nodes.node_id,
        failing_nodes.resource_type,
        case
            when failing_nodes.resource_type in ('test', 'unit_test') then nodes.attached_node_id else failing_nodes.node_id
        end as start_id
    from failing_nodes
    left join nodes
        on
            failing_nodes.project = nodes.project
            and failing_nodes.environment = nodes.environment
            and failing_nodes.node_id = nodes.node_id
    where
        failing_nodes.resource_type not in ('test', 'unit_test')
        or nodes.attached_node_id is not null

    union

    select
        failing_nodes.project,
        failing_nodes.environment,
        failing_nodes.node_id,
        failing_nodes.resource_type,
        dependencies.parent_id as start_id
    from failing_nodes
    inner join nodes
        on
            failing_nodes.project = nodes.project
            and failing_nodes.environment = nodes.environment
            and failing_nodes.node_id = nodes.node_id
    inner join dependencies
        on
            failing_nodes.project = dependencies.project
            and failing_nodes.environment = dependencies.environment
            and failing_nodes.node_id = dependencies.child_id
    where
        failing_nodes.resource_type in ('test', 'unit_test')
        and nodes.attached_node_id is null

),

-- union, not union all: each node is reached once, over any number of paths.
reached as (

    select
        project,
        environment,
        node_id,
        resource_type,
        start_id as reached_id
    from starts

    union

    select
        reached.project,
        reached.environment,
        reached.node_id,
        reached.resource_type,
        dependencies.child_id as reached_id
    from reached
    inner join dependencies
        on
            reached.project = dependencies.project
            and reached.environment = dependencies.environment
            and reached.reached_id = dependencies.parent_id

),

-- A failed unit test also stops the model that it tests. For all others, the start nodes are not downstream of themselves.
downstream as (

    select
        reached.project,
        reached.environment,
        reached.node_id,
        reached.resource_type,
        nodes.node_id as downstream_id,
        nodes.node_name as downstream_name,
        nodes.owner as downstream_owner,
        nodes.resource_type in ('model', 'snapshot', 'seed') as is_model,
        nodes.resource_type = 'exposure' as is_exposure
    from reached
    inner join nodes
        on
            reached.project = nodes.project
            and reached.environment = nodes.environment
            and reached.reached_id = nodes.node_id
    left join starts
        on
            reached.project = starts.project
            and reached.environment = starts.environment
            and reached.node_id = starts.node_id
            and reached.resource_type = starts.resource_type
            and reached.reached_id = starts.start_id
    where
        reached.resource_type = 'unit_test'
        or starts.start_id is null

),

counted_by_node as (

    select
        project,
        environment,
        node_id,
        resource_type,
        sum(case when is_model then 1 else 0 end) as downstream_model_count,
        sum(case when is_exposure then 1 else 0 end) as exposure_count,
        {{ dbt.listagg(
            "case when is_exposure then downstream_name || coalesce(' (' || downstream_owner || ')', '') end",
            "', '",
            "order by downstream_name"
        ) }} as exposure_names
    from downstream
    group by project, environment, node_id, resource_type

),

-- What became of nodes in a run.
outcomes as (

    select
        project,
        environment,
        invocation_id,
        node_id,
        resource_type in ('model', 'snapshot', 'seed') as is_skipped,
        false as is_outdated
    from skips

    union all

    select
        project,
        environment,
        invocation_id,
        node_id,
        true as is_skipped,
        false as is_outdated
    from absences

    union all

    select
        project,
        environment,
        invocation_id,
        node_id,
        false as is_skipped,
        true as is_outdated
    from successes

),

counted_by_failure as (

    select
        failures.node_execution_id,
        sum(case when outcomes.is_skipped then 1 else 0 end) as skipped_model_count,
        sum(case when outcomes.is_outdated then 1 else 0 end) as outdated_model_count,
        {{ dbt.listagg(
            "case when outcomes.is_outdated then downstream.downstream_name end", "', '", "order by downstream.downstream_name"
        ) }} as outdated_model_names
    from failures
    inner join downstream
        on
            failures.project = downstream.project
            and failures.environment = downstream.environment
            and failures.node_id = downstream.node_id
            and failures.resource_type = downstream.resource_type
    inner join outcomes
        on
            failures.project = outcomes.project
            and failures.environment = outcomes.environment
            and failures.invocation_id = outcomes.invocation_id
            and downstream.downstream_id = outcomes.node_id
    where
        outcomes.is_skipped
        or failures.resource_type not in ('test', 'unit_test')
    group by failures.node_execution_id

),

final as (

    select
        failures.node_execution_id,
        failures.project,
        failures.environment,
        failures.invocation_id,
        failures.node_id,
        cast(coalesce(counted_by_node.downstream_model_count, 0) as bigint) as downstream_model_count,
        cast(coalesce(counted_by_failure.skipped_model_count, 0) as bigint) as skipped_model_count,
        cast(coalesce(counted_by_failure.outdated_model_count, 0) as bigint) as outdated_model_count,
        substring(counted_by_failure.outdated_model_names, 1, 200) as outdated_model_names,
        cast(coalesce(counted_by_node.exposure_count, 0) as bigint) as exposure_count,
        counted_by_node.exposure_names
    from failures
    left join counted_by_node
        on
            failures.project = counted_by_node.project
            and failures.environment = counted_by_node.environment
            and failures.node_id = counted_by_node.node_id
            and failures.resource_type = counted_by_node.resource_type
    left join counted_by_failure
        on failures.node_execution_id = counted_by_failure.node_execution_id

)

select * from final
