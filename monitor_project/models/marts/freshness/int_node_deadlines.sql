-- The deadlines of the last two months of models, snapshots, seeds, sources and exposures that name a due_time in meta.alerts: whether, and when, they were done. A
-- model is done by a success in the due_hours before, or after it; a source by a check that found a load in that time; an exposure once
-- all models upstream of it are done.
with

nodes as (

    select
        nodes.project,
        nodes.environment,
        nodes.node_id,
        nodes.node_name,
        nodes.resource_type,
        nodes.owner,
        nodes.path,
        {{ due_time_of('nodes.alert_settings') }} as due_time,
        {{ weekdays_of(json_text('nodes.alert_settings', 'due_days')) }} as due_days,
        coalesce({{ json_text('nodes.alert_settings', 'timezone') }}, '') as timezone,
        coalesce({{ json_text('nodes.alert_settings', 'calendar') }}, '') as calendar,
        case
            when {{ json_text('nodes.alert_settings', 'due_hours') }} similar to '[0-9]{1,3}' then cast({{ json_text('nodes.alert_settings', 'due_hours') }} as bigint)
            else 12
        end as due_hours
    from {{ ref('dim_nodes') }} as nodes
    where
        {{ json_text('nodes.alert_settings', 'due_time') }} is not null
        and nodes.resource_type in ('model', 'snapshot', 'seed', 'source', 'exposure')

),

dated as (

    select
        nodes.*,
        due_times.zone,
        due_times.due_at,
        substring(cast({{ local_time('due_times.due_at', 'due_times.zone') }} as {{ dbt.type_string() }}), 12, 5) as due_text
    from nodes
    inner join {{ ref('int_due_times') }} as due_times
        on
            nodes.due_time = due_times.due_time
            and nodes.due_days = due_times.days
            and nodes.timezone = due_times.timezone
            and nodes.calendar = due_times.calendar
    where due_times.due_at > {{ dbt.dateadd('day', -60, as_of()) }}

),

-- Nothing was expected of a node before its first manifest.
deadlines as (

    select dated.*
    from dated
    inner join {{ ref('int_node_lifetimes') }} as lifetimes
        on
            dated.project = lifetimes.project
            and dated.environment = lifetimes.environment
            and dated.node_id = lifetimes.node_id
    where
        dated.due_at >= lifetimes.first_seen_at
        and dated.due_at <= {{ as_of() }}

),

-- What has to be done for each: the node itself, or what is built upstream of an exposure.
required as (

    select
        project,
        environment,
        node_id,
        node_id as required_node_id
    from nodes
    where resource_type != 'exposure'

    union

    select
        upstream.project,
        upstream.environment,
        upstream.exposure_id as node_id,
        upstream.node_id as required_node_id
    from {{ ref('int_exposure_upstream') }} as upstream
    inner join nodes
        on
            upstream.project = nodes.project
            and upstream.environment = nodes.environment
            and upstream.exposure_id = nodes.node_id
    inner join {{ ref('dim_nodes') }} as built
        on
            upstream.project = built.project
            and upstream.environment = built.environment
            and upstream.node_id = built.node_id
    where
        built.resource_type = 'model'
        and coalesce(built.materialization, '') != 'ephemeral'

),

required_nodes as (

    select distinct
        project,
        environment,
        required_node_id
    from required

),

-- Joined by equality, so that DuckDB skips the blocks of other dates.
recent_dates as (

    select distinct run_date
    from {{ ref('int_result_counts') }}
    where run_date >= cast({{ dbt.dateadd('day', -75, as_of()) }} as date)

),

done as (

    select
        executions.project,
        executions.environment,
        executions.node_id,
        executions.observed_at as loaded_at,
        executions.observed_at
    from {{ ref('fct_node_executions') }} as executions
    inner join recent_dates
        on executions.run_date = recent_dates.run_date
    inner join required_nodes
        on
            executions.project = required_nodes.project
            and executions.environment = required_nodes.environment
            and executions.node_id = required_nodes.required_node_id
    where
        executions.is_build
        and executions.outcome in ('success', 'reused')
        and executions.observed_at <= {{ as_of() }}

    union all

    select
        checks.project,
        checks.environment,
        checks.node_id,
        checks.max_loaded_at as loaded_at,
        checks.observed_at
    from {{ ref('fct_source_freshness') }} as checks
    inner join required_nodes
        on
            checks.project = required_nodes.project
            and checks.environment = required_nodes.environment
            and checks.node_id = required_nodes.required_node_id
    where
        checks.max_loaded_at is not null
        and checks.node_id like 'source.%'

),

done_parts as (

    select
        deadlines.project,
        deadlines.environment,
        deadlines.node_id,
        deadlines.due_at,
        required.required_node_id,
        min(case when done.loaded_at > {{ add_seconds('deadlines.due_at', '-3600 * deadlines.due_hours') }} then done.observed_at end) as done_at,
        max(case when done.observed_at <= deadlines.due_at then done.loaded_at end) as last_done_at
    from deadlines
    inner join required
        on
            deadlines.project = required.project
            and deadlines.environment = required.environment
            and deadlines.node_id = required.node_id
    left join done
        on
            required.project = done.project
            and required.environment = done.environment
            and required.required_node_id = done.node_id
    group by deadlines.project, deadlines.environment, deadlines.node_id, deadlines.due_at, required.required_node_id

),

-- As long as one part is not done, the whole is not.
wholes as (

    select
        project,
        environment,
        node_id,
        due_at,
        case when count(*) = count(done_at) then max(done_at) end as done_at,
        min(last_done_at) as last_done_at,
        sum(case when done_at is null or done_at > due_at then 1 else 0 end) as late_count,
        min(case when done_at is null or done_at > due_at then required_node_id end) as first_late_node_id
    from done_parts
    group by project, environment, node_id, due_at

),

final as (

    select
        {{ surrogate_key(['deadlines.project', 'deadlines.environment', 'deadlines.node_id', 'deadlines.due_at']) }} as node_deadline_id,
        deadlines.project,
        deadlines.environment,
        deadlines.node_id,
        deadlines.node_name,
        deadlines.resource_type,
        deadlines.owner,
        deadlines.path,
        deadlines.due_text as due_time,
        deadlines.zone as timezone,
        deadlines.due_at,
        wholes.done_at,
        wholes.last_done_at,
        cast(wholes.late_count as bigint) as late_count,
        wholes.first_late_node_id
    from deadlines
    inner join wholes
        on
            deadlines.project = wholes.project
            and deadlines.environment = wholes.environment
            and deadlines.node_id = wholes.node_id
            and deadlines.due_at = wholes.due_at

)

select * from final
