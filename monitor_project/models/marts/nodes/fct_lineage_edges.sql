-- Dependencies in the newest manifest of each environment. The depth is the number of steps from the nearest node without parents, the level
-- from the farthest.
with recursive

nodes as (

    select * from {{ ref('dim_nodes') }}

),

edges as (

    select distinct
        children.project,
        children.environment,
        dependencies.parent_unique_id as parent_id,
        children.node_id as child_id,
        children.resource_type as child_type
    from nodes as children
    inner join {{ ref('stg_history__node_dependencies') }} as dependencies
        on children.node_hash = dependencies.node_hash

),

roots as (

    select distinct
        parents.project,
        parents.environment,
        parents.parent_id as node_id
    from edges as parents
    left join edges as above
        on
            parents.project = above.project
            and parents.environment = above.environment
            and parents.parent_id = above.child_id
    where above.child_id is null

),

-- union, not union all: each node is reached once per depth, over any number of paths. The depth limit ends the recursion if the manifest has a cycle.
reached as (

    select
        project,
        environment,
        node_id,
        0 as depth
    from roots

    union

    select
        edges.project,
        edges.environment,
        edges.child_id as node_id,
        reached.depth + 1 as depth
    from reached
    inner join edges
        on
            reached.project = edges.project
            and reached.environment = edges.environment
            and reached.node_id = edges.parent_id
    where reached.depth < 1000

),

depths as (

    select
        project,
        environment,
        node_id,
        min(depth) as depth,
        max(depth) as level
    from reached
    group by project, environment, node_id

),

final as (

    select
        edges.project,
        edges.environment,
        edges.parent_id,
        edges.child_id,
        edges.child_type,
        cast(depths.depth as bigint) as child_depth,
        cast(depths.level as bigint) as child_level
    from edges
    left join depths
        on
            edges.project = depths.project
            and edges.environment = depths.environment
            and edges.child_id = depths.node_id

)

select * from final
