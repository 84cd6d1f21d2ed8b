-- What each incident that can have a known cause says of it: its first error, the class of that, and the node that it is about. Only for incidents
-- that can still be announced.
with

incidents as (

    select
        incidents.*,
        nodes.resource_type,
        nodes.column_name,
        nodes.node_hash,
        coalesce(nodes.attached_node_id, incidents.node_id) as place_id
    from {{ ref('fct_incidents') }} as incidents
    left join {{ ref('dim_nodes_ever') }} as nodes
        on
            incidents.project = nodes.project
            and incidents.environment = nodes.environment
            and incidents.node_id = nodes.node_id
    where
        incidents.last_bad_at >= {{ dbt.dateadd('day', '-' ~ var('announce_max_age_days'), as_of()) }}
        and incidents.kind in (
            'node_failed', 'test_failed', 'mass_failure', 'run_incomplete', 'source_stale', 'source_unchecked', 'schema_changed',
            'volume_odd', 'model_slow'
        )

),

first_results as (

    select
        incidents.incident_id,
        max(case when executions.node_status in ('error', 'runtime error') then 1 else 0 end) as is_error,
        max(executions.message) as message
    from incidents
    inner join {{ ref('int_turning_executions') }} as executions
        on
            incidents.project = executions.project
            and incidents.environment = executions.environment
            and incidents.first_bad_invocation_id = executions.invocation_id
            and incidents.node_id = executions.node_id
    where executions.outcome != 'success'
    group by incidents.incident_id

),

texts as (

    select
        incidents.incident_id,
        coalesce(first_results.is_error, case when incidents.kind in ('mass_failure', 'run_incomplete') then 1 end, 0) = 1 as is_error,
        coalesce(first_results.message, case when incidents.kind in ('mass_failure', 'run_incomplete') then incidents.detail end) as message
    from incidents
    left join first_results
        on incidents.incident_id = first_results.incident_id

),

final as (

    select
        incidents.incident_id,
        incidents.project,
        incidents.environment,
        incidents.kind,
        incidents.node_id,
        incidents.place_id,
        incidents.node_hash,
        incidents.resource_type,
        incidents.column_name,
        incidents.first_bad_invocation_id,
        incidents.started_at,
        texts.is_error,
        texts.message,
        case when texts.is_error then {{ error_class('texts.message') }} end as error_class
    from incidents
    inner join texts
        on incidents.incident_id = texts.incident_id

)

select * from final
