-- Nodes of dim_nodes, and those that are gone, as in the last manifest that held them: an incident keeps its title, owner and route for life.
with

current_nodes as (

    select * from {{ ref('dim_nodes') }}

),

last_versions as (

    select *
    from (
        select
            project,
            environment,
            node_id,
            node_hash,
            row_number() over (
                partition by project, environment, node_id
                order by valid_from_at desc, node_hash asc
            ) as newest_number
        from {{ ref('dim_node_history') }}
    ) as numbered_versions
    where newest_number = 1

),

final as (

    select
        project,
        environment,
        node_id,
        node_hash,
        node_name,
        resource_type,
        path,
        owner,
        package_name,
        tags,
        alert_settings,
        test_name,
        column_name,
        attached_node_id,
        stable_key,
        true as is_current
    from current_nodes

    union all

    select
        last_versions.project,
        last_versions.environment,
        last_versions.node_id,
        last_versions.node_hash,
        nodes.name as node_name,
        nodes.resource_type,
        nodes.path,
        nodes.owner,
        nodes.package_name,
        nodes.tags,
        nodes.meta_alerts as alert_settings,
        nodes.test_name,
        nodes.column_name,
        nodes.attached_node_id,
        nodes.stable_key,
        false as is_current
    from last_versions
    inner join {{ ref('stg_history__nodes') }} as nodes
        on last_versions.node_hash = nodes.node_hash
    left join current_nodes
        on
            last_versions.project = current_nodes.project
            and last_versions.environment = current_nodes.environment
            and last_versions.node_id = current_nodes.node_id
    where current_nodes.node_id is null

)

select * from final
