-- What each failure affects. A node is taken down if it was skipped in the same run. In a job of several commands, where an orchestrator does
-- not start what is downstream of a failure, it is also taken down if it ran in the job before and did not run in this one. With dbt's
-- on_error: continue, what is downstream of a failed model is built all the same, on old data. The recursion starts from failed nodes only, to
-- keep it small.
with recursive

failures as (

    select * from {{ ref('fct_node_executions') }}
    where
        is_build
        and outcome = 'failure'
        and generated_at <= {{ as_of() }}

),

skips as (

    select
        project,
        environment,
        invocation_id,
        node_id,
        resource_type
    from {{ ref('fct_node_executions') }}
    where
        is_build
        and outcome = 'skipped'

),

-- Models that were built in a run with a failed one.
successes as (

    select
        executions.project,
        executions.environment,
        executions.invocation_id,
        executions.node_id
    from {{ ref('fct_node_executions') }} as executions
    inner join (
        select distinct
            project,
            environment,
            invocation_id
        from failures
        where resource_type not in ('test', 'unit_test')
    ) as failed_runs
        on
            executions.project = failed_runs.project
            and executions.environment = failed_runs.environment
            and executions.invocation_id = failed_runs.invocation_id
    where
        executions.outcome = 'success'
        and executions.resource_type in ('model', 'snapshot', 'seed')

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

-- A failed node affects its descendants. A failed test affects those of the node it is attached to, or of all nodes it reads if it has none.
starts as (

    select
        failures.node_execution_id,
        failures.project,
        failures.environment,
        failures.invocation_id,
        failures.resource_type,
        case when failures.resource_type in ('test', 'unit_test') then nodes.attached_node_id else failures.node_id end as start_id
    from failures
    left join nodes
        on
            failures.project = nodes.project
            and failures.environment = nodes.environment
            and failures.node_id = nodes.node_id
    where
        failures.resource_type not in ('test', 'unit_test')
        or nodes.attached_node_id is not null

    union

    select
        failures.node_execution_id,
        failures.project,
        failures.environment,
        failures.invocation_id,
        failures.resource_type,
        dependencies.parent_id as start_id
    from failures
    inner join nodes
        on
            failures.project = nodes.project
            and failures.environment = nodes.environment
            and failures.node_id = nodes.node_id
    inner join dependencies
        on
            failures.project = dependencies.project
            and failures.environment = dependencies.environment
            and failures.node_id = dependencies.child_id
    where
        failures.resource_type in ('test', 'unit_test')
        and nodes.attached_node_id is null

),

-- union, not union all: each node is reached once, over any number of paths.
reached as (

    select
        node_execution_id,
        project,
        environment,
        start_id as reached_id
    from starts

    union

    select
        reached.node_execution_id,
        reached.project,
        reached.environment,
        dependencies.child_id as reached_id
    from reached
    inner join dependencies
        on
            reached.project = dependencies.project
            and reached.environment = dependencies.environment
            and reached.reached_id = dependencies.parent_id

),

downstream as (

    select distinct
        reached.node_execution_id,
        reached.project,
        reached.environment,
        nodes.node_id,
        nodes.node_name,
        nodes.owner,
        nodes.resource_type
    from reached
    inner join starts
        on reached.node_execution_id = starts.node_execution_id
    inner join nodes
        on
            reached.project = nodes.project
            and reached.environment = nodes.environment
            and reached.reached_id = nodes.node_id
    -- A failed unit test also stops the model that it tests. For all others, the start nodes are not downstream of themselves.
    where
        starts.resource_type = 'unit_test'
        or reached.reached_id not in (
            select own.start_id from starts as own
            where own.node_execution_id = reached.node_execution_id
        )

),

counted as (

    select
        failures.node_execution_id,
        sum(case when downstream.resource_type in ('model', 'snapshot', 'seed') then 1 else 0 end) as downstream_model_count,
        sum(case when successes.node_id is not null then 1 else 0 end) as outdated_model_count,
        {{ dbt.listagg(
            "case when successes.node_id is not null then downstream.node_name end", "', '", "order by downstream.node_name"
        ) }} as outdated_model_names,
        sum(case when downstream.resource_type = 'exposure' then 1 else 0 end) as exposure_count,
        sum(
            case
                when skips.resource_type in ('model', 'snapshot', 'seed') then 1
                when absences.node_id is not null then 1
                else 0
            end
        ) as skipped_model_count,
        {{ dbt.listagg(
            "case when downstream.resource_type = 'exposure' then downstream.node_name || coalesce(' (' || downstream.owner || ')', '') end",
            "', '",
            "order by downstream.node_name"
        ) }} as exposure_names
    from failures
    left join downstream
        on failures.node_execution_id = downstream.node_execution_id
    left join skips
        on
            failures.project = skips.project
            and failures.environment = skips.environment
            and failures.invocation_id = skips.invocation_id
            and downstream.node_id = skips.node_id
    left join successes
        on
            failures.project = successes.project
            and failures.environment = successes.environment
            and failures.invocation_id = successes.invocation_id
            and failures.resource_type not in ('test', 'unit_test')
            and downstream.node_id = successes.node_id
    left join absences
        on
            failures.project = absences.project
            and failures.environment = absences.environment
            and failures.invocation_id = absences.invocation_id
            and downstream.node_id = absences.node_id
    group by failures.node_execution_id

),

final as (

    select
        failures.node_execution_id,
        failures.project,
        failures.environment,
        failures.invocation_id,
        failures.node_id,
        cast(counted.downstream_model_count as bigint) as downstream_model_count,
        cast(counted.skipped_model_count as bigint) as skipped_model_count,
        cast(counted.outdated_model_count as bigint) as outdated_model_count,
        substring(counted.outdated_model_names, 1, 200) as outdated_model_names,
        cast(counted.exposure_count as bigint) as exposure_count,
        counted.exposure_names
    from failures
    inner join counted
        on failures.node_execution_id = counted.node_execution_id

)

select * from final
