-- Times in which a model was older than it may be: from its last success to the next one, in any command that builds. What dbt State reuses is
-- as good as built. Nothing is expected of a model that was removed. The allowed age is max_age_hours in meta.alerts of the node, else the error_after
-- (or warn_after) of its own freshness if `dbt freshness` does not check it, else model_max_age_hours. A model that never succeeded has no age.
with

-- `dbt freshness` itself says of these whether they are stale.
checked as (

    select distinct
        project,
        environment,
        node_id
    from {{ ref('fct_source_freshness') }}

),

limits as (

    select
        project,
        environment,
        node_id,
        node_name,
        owner,
        path,
        {{ bounded('max_age_hours * 3600', 'threshold') }} as max_age_seconds
    from (
        select
            nodes.*,
            case
                when {{ json_text('nodes.alert_settings', 'max_age_hours') }} similar to '[0-9]+(\.[0-9]+)?'
                    then cast({{ json_text('nodes.alert_settings', 'max_age_hours') }} as double)
                when {{ json_text('nodes.alert_settings', 'max_age_hours') }} is null
                    then
                        coalesce(
                            case
                                when checked.node_id is null
                                    then cast(coalesce(contents.error_after_seconds, contents.warn_after_seconds) as double) / 3600
                            end,
                            {{ var('model_max_age_hours') }}
                        )
            end as max_age_hours
        from {{ ref('dim_nodes_ever') }} as nodes
        left join {{ ref('stg_history__nodes') }} as contents
            on nodes.node_hash = contents.node_hash
        left join checked
            on
                nodes.project = checked.project
                and nodes.environment = checked.environment
                and nodes.node_id = checked.node_id
        where nodes.resource_type in ('model', 'snapshot')
    ) as limited_nodes
    where max_age_hours > 0

),

-- Without regard to as_of at first: with its condition here, DuckDB expects few results, and joins limits to all of them.
limited as (

    select
        executions.node_execution_id,
        executions.project,
        executions.environment,
        executions.node_id,
        executions.invocation_id,
        executions.observed_at,
        limits.node_name,
        limits.owner,
        limits.path,
        limits.max_age_seconds
    from {{ ref('fct_node_executions') }} as executions
    inner join limits
        on
            executions.project = limits.project
            and executions.environment = limits.environment
            and executions.node_id = limits.node_id
    where
        executions.is_build
        and executions.outcome in ('success', 'reused')

),

successes as (

    select
        *,
        lead(observed_at) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
        ) as next_success_at,
        lead(invocation_id) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
        ) as next_invocation_id
    from limited
    where {{ until_as_of('observed_at') }}

),

dated as (

    select
        *,
        {{ add_seconds('observed_at', 'max_age_seconds') }} as due_at
    from successes

),

lifetimes as (

    select * from {{ ref('int_node_lifetimes') }}

),

final as (

    select
        dated.node_execution_id,
        dated.project,
        dated.environment,
        dated.node_id,
        dated.invocation_id,
        dated.node_name,
        dated.owner,
        dated.path,
        cast(dated.max_age_seconds as double) as max_age_seconds,
        dated.observed_at as last_success_at,
        dated.due_at,
        dated.next_success_at,
        dated.next_invocation_id
    from dated
    left join lifetimes
        on
            dated.project = lifetimes.project
            and dated.environment = lifetimes.environment
            and dated.node_id = lifetimes.node_id
    where
        (dated.next_success_at is null or dated.next_success_at > dated.due_at)
        and (lifetimes.gone_at is null or lifetimes.gone_at > dated.due_at)

)

select * from final
