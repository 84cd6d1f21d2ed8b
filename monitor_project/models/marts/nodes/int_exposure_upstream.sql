-- Everything upstream of each exposure in the newest manifest of its environment.
with recursive

exposures as (

    select
        project,
        environment,
        node_id,
        owner
    from {{ ref('dim_nodes') }}
    where resource_type = 'exposure'

),

edges as (

    select distinct
        project,
        environment,
        parent_id,
        child_id
    from {{ ref('fct_lineage_edges') }}

),

-- union, not union all: each node upstream is reached once, and a cycle ends.
upstream as (

    select
        exposures.project,
        exposures.environment,
        exposures.node_id as exposure_id,
        exposures.owner as exposure_owner,
        edges.parent_id as node_id
    from exposures
    inner join edges
        on
            exposures.project = edges.project
            and exposures.environment = edges.environment
            and exposures.node_id = edges.child_id

    union

    select
        upstream.project,
        upstream.environment,
        upstream.exposure_id,
        upstream.exposure_owner,
        edges.parent_id as node_id
    from upstream
    inner join edges
        on
            upstream.project = edges.project
            and upstream.environment = edges.environment
            and upstream.node_id = edges.child_id

),

final as (

    select
        {{ surrogate_key(['project', 'environment', 'exposure_id', 'node_id']) }} as exposure_upstream_id,
        project,
        environment,
        exposure_id,
        exposure_owner,
        node_id
    from upstream

)

select * from final
