-- Sources whose last load is older than their threshold, or whose table is empty. A check whose query failed is not an observation: the
-- age is unknown.
with

checks as (

    select * from {{ ref('fct_source_freshness') }}
    where freshness_status in ('pass', 'warn', 'error')

),

nodes as (

    select * from {{ ref('dim_nodes') }}

),

observed as (

    select
        {{ surrogate_key(["'source_stale'", 'checks.project', 'checks.environment', 'checks.node_id']) }} as signal_key,
        'source_stale' as kind,
        checks.project,
        checks.environment,
        checks.observed_at,
        checks.invocation_id,
        checks.outcome != 'success' as is_bad,
        case when checks.outcome = 'warning' then 'warning' else 'error' end as severity,
        'source ' || {{ node_label('nodes.node_name', 'checks.node_id') }}
        || case when checks.is_empty then ' is empty' else ' is stale' end as title,
        case
            when not checks.is_empty
                then 'last load ' || cast({{ dbt.date_trunc('minute', 'checks.max_loaded_at') }} as {{ dbt.type_string() }}) || ' UTC, '
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
    left join nodes
        on
            checks.project = nodes.project
            and checks.environment = nodes.environment
            and checks.node_id = nodes.node_id

)

{{ signal_columns('observed') }}
