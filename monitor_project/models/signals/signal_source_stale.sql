-- Sources, and models of `dbt freshness`, whose last load is older than their threshold, or whose table is empty. A check whose query failed is not an observation: the
-- age is unknown. A source whose freshness rule was removed is no longer checked, which closes its incident.
with

checks as (

    select
        *,
        lag(observed_at) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
        ) as prior_observed_at
    from {{ ref('fct_source_freshness') }}
    where freshness_status in ('pass', 'warn', 'error')

),

nodes as (

    select * from {{ ref('dim_nodes') }}

),

nodes_ever as (

    select * from {{ ref('dim_nodes_ever') }}

),

last_checks as (

    select
        project,
        environment,
        node_id,
        max(observed_at) as last_checked_at
    from checks
    group by project, environment, node_id

),

without_rule as (

    select
        nodes.project,
        nodes.environment,
        nodes.node_id,
        nodes.node_name,
        nodes.owner,
        nodes.path,
        nodes.as_of_manifest_at
    from nodes
    inner join last_checks
        on
            nodes.project = last_checks.project
            and nodes.environment = last_checks.environment
            and nodes.node_id = last_checks.node_id
    where
        -- Of models only the check itself shows a rule.
        nodes.resource_type = 'source'
        and not nodes.has_freshness
        and nodes.as_of_manifest_at > last_checks.last_checked_at

),

observed as (

    select
        {{ surrogate_key(["'source_stale'", 'checks.project', 'checks.environment', 'checks.node_id']) }} as signal_key,
        'source_stale' as kind,
        checks.project,
        checks.environment,
        checks.observed_at,
        {{ expected_until('checks.observed_at', 'checks.prior_observed_at') }} as expected_until,
        checks.invocation_id,
        checks.outcome != 'success' as is_bad,
        case when checks.outcome = 'warning' then 'warning' else 'error' end as severity,
        {{ dbt.split_part('checks.node_id', "'.'", 1) }} || ' ' || {{ node_label('nodes.node_name', 'checks.node_id') }}
        || case when checks.is_empty then ' is empty' else ' is stale' end as title,
        case
            when not checks.is_empty
                then 'last load ' || substring(cast(checks.max_loaded_at as {{ dbt.type_string() }}), 1, 16) || ' UTC, '
                    || cast(round(cast(checks.age_seconds / 3600.0 as decimal(18, 4)), 1) as {{ dbt.type_string() }})
                    || ' hours before the check; the limit is '
                    || cast(round(cast(
                        case
                            when checks.outcome = 'warning' then checks.warn_after_seconds
                            else coalesce(checks.error_after_seconds, checks.warn_after_seconds)
                        end / 3600.0 as decimal(18, 4)
                    ), 1) as {{ dbt.type_string() }})
        end as detail,
        checks.node_id,
        nodes.owner,
        {{ json_object({
            'path': 'nodes.path',
            'max_loaded_at': 'cast(checks.max_loaded_at as ' ~ dbt.type_string() ~ ')',
            'age_seconds': 'checks.age_seconds'
        }) }} as evidence
    from checks
    left join nodes_ever as nodes
        on
            checks.project = nodes.project
            and checks.environment = nodes.environment
            and checks.node_id = nodes.node_id

    union all

    select
        {{ surrogate_key(["'source_stale'", 'project', 'environment', 'node_id']) }} as signal_key,
        'source_stale' as kind,
        project,
        environment,
        as_of_manifest_at as observed_at,
        as_of_manifest_at as expected_until,
        cast(null as {{ dbt.type_string() }}) as invocation_id,
        cast(null as boolean) as is_bad,
        'warning' as severity,
        'source ' || {{ node_label('node_name', 'node_id') }} || ' has no freshness rule' as title,
        cast(null as {{ dbt.type_string() }}) as detail,
        node_id,
        owner,
        {{ json_object({'path': 'path'}) }} as evidence
    from without_rule

)

{{ signal_columns('observed', 'expected_until') }}
