-- A test is flaky if it flips between pass and fail while neither it nor anything upstream changes. Has only tests that flipped at least
-- once, and of these only the runs at which they flipped or is_flaky changed, and the newest run.
{%- set sequence %}(
            partition by project, environment, node_id
            order by run_date, observed_at, invocation_id
        ){% endset %}
with recursive

newest_date as (

    select cast(newest_at as date) as run_date from {{ ref('int_newest_instant') }}

),

-- The runs in which a test can flip, and from the date of as_of on, of which only a part may count, every run.
executed as (

    select
        executions.project,
        executions.environment,
        executions.node_id,
        executions.invocation_id,
        executions.observed_at,
        executions.prior_observed_at,
        executions.outcome = 'success' as is_pass,
        executions.left_out_count,
        executions.date_run_number,
        executions.run_date
    from {{ ref('int_turning_executions_daily') }} as executions
    inner join newest_date
        on executions.run_date < newest_date.run_date
    where
        executions.resource_type in ('test', 'unit_test')
        and executions.outcome in ('success', 'failure')
        -- A test that could not run says nothing about its result.
        and executions.node_status not in ('error', 'runtime error')

    union all

    select
        executions.project,
        executions.environment,
        executions.node_id,
        executions.invocation_id,
        executions.observed_at,
        cast(null as {{ dbt.type_timestamp() }}) as prior_observed_at,
        executions.outcome = 'success' as is_pass,
        0 as left_out_count,
        cast(null as bigint) as date_run_number,
        executions.run_date
    from {{ ref('fct_node_executions') }} as executions
    inner join newest_date
        on executions.run_date >= newest_date.run_date
    where
        executions.is_build
        and executions.resource_type in ('test', 'unit_test')
        and executions.outcome in ('success', 'failure')
        and executions.node_status not in ('error', 'runtime error')
        and {{ until_as_of('executions.observed_at') }}

),

numbered as (

    select
        project,
        environment,
        node_id,
        invocation_id,
        observed_at,
        is_pass,
        left_out_count,
        date_run_number,
        run_date,
        sum(left_out_count + 1) over {{ sequence }} as run_number,
        lag(is_pass) over {{ sequence }} as was_pass,
        lag(invocation_id) over {{ sequence }} as prior_invocation_id,
        -- The run before may be one that is left out.
        case when left_out_count > 0 then prior_observed_at else lag(observed_at) over {{ sequence }} end as prior_observed_at
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
        numbered.project,
        numbered.environment,
        numbered.node_id,
        max(numbered.run_number) as newest_run_number
    from numbered
    inner join (
        select distinct
            project,
            environment,
            node_id
        from flipped
    ) as flipped_tests
        on
            numbered.project = flipped_tests.project
            and numbered.environment = flipped_tests.environment
            and numbered.node_id = flipped_tests.node_id
    group by numbered.project, numbered.environment, numbered.node_id

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
        flips.project,
        flips.environment,
        flips.node_id,
        flips.run_number + {{ var('flaky_runs') }} + 1 as run_number
    from flips
    inner join flipping
        on
            flips.project = flipping.project
            and flips.environment = flipping.environment
            and flips.node_id = flipping.node_id
            and flips.run_number + {{ var('flaky_runs') }} < flipping.newest_run_number

    union

    select
        project,
        environment,
        node_id,
        {{ var('flaky_least_runs') }} as run_number
    from flipping
    where newest_run_number >= {{ var('flaky_least_runs') }}

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
        project,
        environment,
        node_id,
        newest_run_number as run_number
    from flipping

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

rated as (

    select
        *,
        case when run_number >= {{ var('flaky_least_runs') }} then flip_count >= {{ var('flaky_flips') }} end as is_flaky,
        row_number() over (
            partition by project, environment, node_id
            order by run_number desc
        ) as newest_number
    from counted

),

compared as (

    select
        *,
        coalesce(is_flaky, false) != coalesce(lag(is_flaky) over (
            partition by project, environment, node_id
            order by run_number
        ), false) as is_turn
    from rated

),

-- A test can cease to be flaky in a run that int_turning_executions_daily leaves out: the run is before a later one of its date.
left_out as (

    select
        compared.project,
        compared.environment,
        compared.node_id,
        compared.run_number,
        later.run_date,
        later.date_run_number - (later.run_number - compared.run_number) as date_run_number
    from compared
    inner join numbered as later
        on
            compared.project = later.project
            and compared.environment = later.environment
            and compared.node_id = later.node_id
            and compared.run_number < later.run_number
            and compared.run_number >= later.run_number - later.left_out_count
    where compared.is_turn

),

runs_of_dates as (

    select
        executions.project,
        executions.environment,
        executions.node_id,
        executions.run_date,
        executions.invocation_id,
        executions.observed_at,
        row_number() over (
            partition by executions.project, executions.environment, executions.node_id, executions.run_date
            order by executions.observed_at, executions.invocation_id
        ) as date_run_number,
        lag(executions.observed_at) over (
            partition by executions.project, executions.environment, executions.node_id, executions.run_date
            order by executions.observed_at, executions.invocation_id
        ) as prior_observed_at
    from {{ ref('fct_node_executions') }} as executions
    inner join (
        select distinct
            project,
            environment,
            node_id,
            run_date
        from left_out
    ) as dates
        on
            executions.project = dates.project
            and executions.environment = dates.environment
            and executions.node_id = dates.node_id
            and executions.run_date = dates.run_date
    where
        executions.is_build
        and executions.outcome in ('success', 'failure', 'warning')

),

places as (

    select
        project,
        environment,
        node_id,
        run_number,
        invocation_id,
        observed_at,
        prior_observed_at,
        is_pass
    from numbered

    union all

    select
        left_out.project,
        left_out.environment,
        left_out.node_id,
        left_out.run_number,
        runs_of_dates.invocation_id,
        runs_of_dates.observed_at,
        runs_of_dates.prior_observed_at,
        true as is_pass
    from left_out
    inner join runs_of_dates
        on
            left_out.project = runs_of_dates.project
            and left_out.environment = runs_of_dates.environment
            and left_out.node_id = runs_of_dates.node_id
            and left_out.run_date = runs_of_dates.run_date
            and left_out.date_run_number = runs_of_dates.date_run_number

),

judged as (

    select
        compared.*,
        places.invocation_id,
        places.observed_at,
        places.prior_observed_at,
        places.is_pass,
        places.observed_at > {{ dbt.dateadd('day', var('close_after_days'), 'places.prior_observed_at') }} as is_after_gap,
        least(compared.run_number, {{ var('flaky_runs') }} + 1) as run_count
    from compared
    inner join places
        on
            compared.project = places.project
            and compared.environment = places.environment
            and compared.node_id = places.node_id
            and compared.run_number = places.run_number

),

shown as (

    select
        *,
        -- The run before the next row.
        lead(prior_observed_at) over (
            partition by project, environment, node_id
            order by run_number
        ) as last_alike_observed_at
    from judged
    where
        is_flip
        or is_after_gap
        or newest_number = 1
        or is_turn

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
