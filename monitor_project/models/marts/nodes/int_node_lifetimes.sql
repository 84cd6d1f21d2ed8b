-- When each node was first in a manifest, and since when it is in none.
with

final as (

    select
        {{ surrogate_key(['project', 'environment', 'node_id']) }} as node_lifetime_id,
        project,
        environment,
        node_id,
        min(valid_from_at) as first_seen_at,
        case when count(*) = count(valid_to_at) then max(valid_to_at) end as gone_at
    from {{ ref('dim_node_history') }}
    group by project, environment, node_id

)

select * from final
