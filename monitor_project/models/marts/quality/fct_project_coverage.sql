with

nodes as (

    select
        *,
        case
            when path like '%/%' then substring(path, 1, length(path) - length({{ dbt.split_part('path', "'/'", -1) }}) - 1)
            else ''
        end as folder
    from {{ ref('dim_nodes') }}

),

tested as (

    select distinct
        project,
        environment,
        attached_node_id
    from nodes
    where attached_node_id is not null

),

final as (

    select
        nodes.project,
        nodes.environment,
        nodes.folder,
        nodes.resource_type,
        count(*) as node_count,
        cast(sum(case when tested.attached_node_id is not null then 1 else 0 end) as bigint) as tested_count,
        cast(sum(case when nodes.has_description then 1 else 0 end) as bigint) as described_count,
        cast(sum(case when nodes.owner is not null then 1 else 0 end) as bigint) as owned_count,
        cast(case when nodes.resource_type = 'source' then sum(case when nodes.has_freshness then 1 else 0 end) end as bigint)
            as freshness_count
    from nodes
    left join tested
        on
            nodes.project = tested.project
            and nodes.environment = tested.environment
            and nodes.node_id = tested.attached_node_id
    where nodes.resource_type in ('model', 'source', 'seed', 'snapshot')
    group by nodes.project, nodes.environment, nodes.folder, nodes.resource_type

)

select * from final
