-- Owners of nodes, for whom there is no route yet. An owner that is a channel is one to send to.
with

owned as (

    select
        owner,
        count(distinct project || '.' || node_id) as node_count
    from {{ ref('dim_nodes') }}
    where owner is not null
    group by owner

),

final as (

    select
        owned.owner,
        case when substring(owned.owner, 1, 1) = '#' then owned.owner end as channel,
        cast(owned.node_count as bigint) as node_count,
        'nodes with this owner: ' || cast(owned.node_count as {{ dbt.type_string() }}) as evidence
    from owned
    left join {{ ref('alert_routes') }} as routes
        on owned.owner = routes.owner
    where routes.owner is null

)

select * from final
