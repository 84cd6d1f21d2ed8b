-- A test is flaky if it flips between pass and fail while neither it nor anything upstream changes. Has only tests that flipped at least
-- once, and of these only the runs at which they flipped or is_flaky changed, and the newest run.
with recursive

executed as (

    select
        project,
        environment,
        node_id,
        invocation_id,
        observed_at,
        outcome = 'success' as is_pass
    from {{ ref('fct_node_executions') }}
    where
        is_build
        and resource_type in ('test', 'unit_test')
        and outcome in ('success', 'failure')
        -- A test that could not run says nothing about its result.
        and node_status not in ('error', 'runtime error')
        and {{ until_as_of('observed_at') }}

),

numbered as (

    select
        *,
        row_number() over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
        ) as run_number,
        lag(is_pass) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
        ) as was_pass,
        lag(observed_at) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
        ) as prior_observed_at,
        lag(invocation_id) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
        ) as prior_invocation_id
    from executed

),

invocations as (

    select * from {{ ref('fct_invocations') }}

),

flipped as (

    select
        numbered.project,
        numbered.environment,
        numbered.node_id,
        numbered.run_number,
        numbered.is_pass,
        invocations.is_retry,
        invocations.manifest_hash,
        prior_invocations.manifest_hash as prior_manifest_hash
    from numbered
    inner join invocations
        on
            numbered.project = invocations.project
            and numbered.environment = invocations.environment
            and numbered.invocation_id = invocations.invocation_id
    inner join invocations as prior_invocations
        on
            numbered.project = prior_invocations.project
            and numbered.environment = prior_invocations.environment
            and numbered.prior_invocation_id = prior_invocations.invocation_id
    where numbered.is_pass != numbered.was_pass

),

flipping as (

    select
        project,
        environment,
        node_id
    from flipped
    group by project, environment, node_id

),

manifest_nodes as (

    select * from {{ ref('stg_history__manifest_nodes') }}

),

changes as (

    select distinct
        prior_manifest_hash,
        manifest_hash
    from flipped
    where prior_manifest_hash != manifest_hash

),

changed_nodes as (

    select
        changes.prior_manifest_hash,
        changes.manifest_hash,
        current_nodes.unique_id as node_id
    from changes
    inner join manifest_nodes as current_nodes
        on changes.manifest_hash = current_nodes.manifest_hash
    left join manifest_nodes as prior_nodes
        on
            changes.prior_manifest_hash = prior_nodes.manifest_hash
            and current_nodes.unique_id = prior_nodes.unique_id
    where
        prior_nodes.node_hash is null
        or prior_nodes.node_hash != current_nodes.node_hash

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
        flipped.*,
        explained.test_id is null as is_unexplained
    from flipped
    left join explained
        on
            flipped.project = explained.project
            and flipped.environment = explained.environment
            and flipped.node_id = explained.test_id
            and flipped.prior_manifest_hash = explained.prior_manifest_hash
            and flipped.manifest_hash = explained.manifest_hash

),

-- is_flaky can change only where a flip enters or leaves the window, and where flaky_least_runs is reached. The first run after a long
-- gap is evaluated too, since an incident may have ended in it.
evaluated_runs as (

    select
        project,
        environment,
        node_id,
        run_number
    from flips

    union

    select
        project,
        environment,
        node_id,
        run_number + {{ var('flaky_runs') }} + 1 as run_number
    from flips

    union

    select
        project,
        environment,
        node_id,
        {{ var('flaky_least_runs') }} as run_number
    from flipping

    union

    select
        numbered.project,
        numbered.environment,
        numbered.node_id,
        numbered.run_number
    from numbered
    inner join flipping
        on
            numbered.project = flipping.project
            and numbered.environment = flipping.environment
            and numbered.node_id = flipping.node_id
    where numbered.observed_at > {{ dbt.dateadd('day', var('close_after_days'), 'numbered.prior_observed_at') }}

    union

    select
        numbered.project,
        numbered.environment,
        numbered.node_id,
        max(numbered.run_number) as run_number
    from numbered
    inner join flipping
        on
            numbered.project = flipping.project
            and numbered.environment = flipping.environment
            and numbered.node_id = flipping.node_id
    group by numbered.project, numbered.environment, numbered.node_id

),

-- Every flip is an evaluated run, so the flips of a window are among its rows.
counted as (

    select
        evaluated_runs.project,
        evaluated_runs.environment,
        evaluated_runs.node_id,
        evaluated_runs.run_number,
        flips.node_id is not null as is_flip,
        coalesce(flips.is_unexplained, false) as is_unexplained_flip,
        sum(case when flips.is_unexplained then 1 else 0 end) over (
            partition by evaluated_runs.project, evaluated_runs.environment, evaluated_runs.node_id
            order by evaluated_runs.run_number
            range between {{ var('flaky_runs') }} preceding and current row
        ) as flip_count,
        sum(case when flips.is_unexplained and flips.is_pass and flips.is_retry then 1 else 0 end) over (
            partition by evaluated_runs.project, evaluated_runs.environment, evaluated_runs.node_id
            order by evaluated_runs.run_number
            range between {{ var('flaky_runs') }} preceding and current row
        ) as retry_pass_count
    from evaluated_runs
    left join flips
        on
            evaluated_runs.project = flips.project
            and evaluated_runs.environment = flips.environment
            and evaluated_runs.node_id = flips.node_id
            and evaluated_runs.run_number = flips.run_number

),

judged as (

    select
        counted.*,
        numbered.invocation_id,
        numbered.observed_at,
        numbered.is_pass,
        numbered.prior_observed_at,
        numbered.observed_at > {{ dbt.dateadd('day', var('close_after_days'), 'numbered.prior_observed_at') }} as is_after_gap,
        least(counted.run_number, {{ var('flaky_runs') }} + 1) as run_count,
        case
            when counted.run_number >= {{ var('flaky_least_runs') }}
                then counted.flip_count >= {{ var('flaky_flips') }}
        end as is_flaky,
        row_number() over (
            partition by counted.project, counted.environment, counted.node_id
            order by counted.run_number desc
        ) as newest_number
    from counted
    inner join numbered
        on
            counted.project = numbered.project
            and counted.environment = numbered.environment
            and counted.node_id = numbered.node_id
            and counted.run_number = numbered.run_number

),

compared as (

    select
        *,
        lag(is_flaky) over (
            partition by project, environment, node_id
            order by run_number
        ) as was_flaky
    from judged

),

shown as (

    select
        *,
        -- The run before the next row.
        lead(prior_observed_at) over (
            partition by project, environment, node_id
            order by run_number
        ) as last_alike_observed_at
    from compared
    where
        is_flip
        or is_after_gap
        or newest_number = 1
        or coalesce(is_flaky, false) != coalesce(was_flaky, false)

),

final as (

    select
        {{ surrogate_key(['shown.project', 'shown.environment', 'shown.node_id', 'shown.invocation_id', 'shown.observed_at']) }} as test_flakiness_id,
        shown.project,
        shown.environment,
        shown.node_id,
        shown.invocation_id,
        shown.observed_at,
        coalesce(shown.last_alike_observed_at, shown.observed_at) as holds_until,
        shown.is_pass,
        shown.is_flip,
        shown.is_unexplained_flip,
        cast(shown.flip_count as bigint) as flip_count,
        cast(shown.retry_pass_count as bigint) as retry_pass_count,
        cast(shown.run_count as bigint) as run_count,
        shown.is_flaky,
        shown.newest_number = 1 as is_latest
    from shown

)

select * from final
