-- A test that flips between pass and fail while neither it nor anything upstream of it has changed. Only tests that ever flipped are here;
-- of these, the runs at which they flipped or their judgement changed, and the newest one.
with recursive

executed as (

    select
        executions.project,
        executions.environment,
        executions.node_id,
        executions.invocation_id,
        executions.observed_at,
        executions.outcome = 'success' as is_pass,
        invocations.is_retry,
        invocations.manifest_hash
    from {{ ref('fct_node_executions') }} as executions
    inner join {{ ref('fct_invocations') }} as invocations
        on
            executions.project = invocations.project
            and executions.environment = invocations.environment
            and executions.invocation_id = invocations.invocation_id
    where
        executions.is_build
        and executions.resource_type in ('test', 'unit_test')
        and executions.outcome in ('success', 'failure')
        and executions.observed_at <= {{ as_of() }}

),

flipping as (

    select
        project,
        environment,
        node_id
    from executed
    group by project, environment, node_id
    having min(case when is_pass then 1 else 0 end) != max(case when is_pass then 1 else 0 end)

),

sequenced as (

    select
        executed.*,
        lag(executed.is_pass) over (
            partition by executed.project, executed.environment, executed.node_id
            order by executed.observed_at, executed.invocation_id
        ) as was_pass,
        lag(executed.manifest_hash) over (
            partition by executed.project, executed.environment, executed.node_id
            order by executed.observed_at, executed.invocation_id
        ) as prior_manifest_hash
    from executed
    inner join flipping
        on
            executed.project = flipping.project
            and executed.environment = flipping.environment
            and executed.node_id = flipping.node_id

),

manifest_nodes as (

    select * from {{ ref('stg_history__manifest_nodes') }}

),

changes as (

    select distinct
        prior_manifest_hash,
        manifest_hash
    from sequenced
    where
        is_pass != was_pass
        and prior_manifest_hash != manifest_hash

),

changed_nodes as (

    select
        changes.prior_manifest_hash,
        changes.manifest_hash,
        now_held.unique_id as node_id
    from changes
    inner join manifest_nodes as now_held
        on changes.manifest_hash = now_held.manifest_hash
    left join manifest_nodes as then_held
        on
            changes.prior_manifest_hash = then_held.manifest_hash
            and now_held.unique_id = then_held.unique_id
    where
        then_held.node_hash is null
        or then_held.node_hash != now_held.node_hash

),

upstream as (

    select
        project,
        environment,
        node_id as test_id,
        node_id
    from flipping

    union

    select
        upstream.project,
        upstream.environment,
        upstream.test_id,
        edges.parent_id as node_id
    from upstream
    inner join {{ ref('fct_lineage_edges') }} as edges
        on
            upstream.project = edges.project
            and upstream.environment = edges.environment
            and upstream.node_id = edges.child_id

),

explained as (

    select distinct
        upstream.project,
        upstream.environment,
        upstream.test_id,
        changed_nodes.prior_manifest_hash,
        changed_nodes.manifest_hash
    from upstream
    inner join changed_nodes
        on upstream.node_id = changed_nodes.node_id

),

flips as (

    select
        sequenced.*,
        coalesce(sequenced.is_pass != sequenced.was_pass, false) as is_flip,
        coalesce(sequenced.is_pass != sequenced.was_pass, false) and explained.test_id is null as is_unexplained_flip
    from sequenced
    left join explained
        on
            sequenced.project = explained.project
            and sequenced.environment = explained.environment
            and sequenced.node_id = explained.test_id
            and sequenced.prior_manifest_hash = explained.prior_manifest_hash
            and sequenced.manifest_hash = explained.manifest_hash

),

counted as (

    select
        *,
        sum(case when is_unexplained_flip then 1 else 0 end) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
            rows between {{ var('flaky_runs') }} preceding and current row
        ) as flip_count,
        sum(case when is_unexplained_flip and is_pass and is_retry then 1 else 0 end) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
            rows between {{ var('flaky_runs') }} preceding and current row
        ) as retry_pass_count,
        count(*) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
            rows between {{ var('flaky_runs') }} preceding and current row
        ) as run_count,
        row_number() over (
            partition by project, environment, node_id
            order by observed_at desc, invocation_id desc
        ) as newest_number
    from flips

),

judged as (

    select
        *,
        case
            when run_count >= {{ var('flaky_least_runs') }}
                then flip_count >= {{ var('flaky_flips') }}
        end as is_flaky
    from counted

),

compared as (

    select
        *,
        lag(is_flaky) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
        ) as was_flaky
    from judged

),

final as (

    select
        {{ surrogate_key(['project', 'environment', 'node_id', 'invocation_id', 'observed_at']) }} as test_flakiness_id,
        project,
        environment,
        node_id,
        invocation_id,
        observed_at,
        is_pass,
        is_flip,
        is_unexplained_flip,
        cast(flip_count as bigint) as flip_count,
        cast(retry_pass_count as bigint) as retry_pass_count,
        cast(run_count as bigint) as run_count,
        is_flaky,
        newest_number = 1 as is_latest
    from compared
    where
        is_flip
        or newest_number = 1
        or coalesce(is_flaky, false) != coalesce(was_flaky, false)

)

select * from final
