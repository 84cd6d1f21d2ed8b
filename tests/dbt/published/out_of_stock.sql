select *
from (
    select
        name
        , dbt_updated_at
        , lag(inventory) over (partition by product_id order by dbt_updated_at) as prior_inventory
        , inventory
        , lead(inventory) over (partition by product_id order by dbt_updated_at) as next_inventory
    from product_inventory_snapshot
)
where inventory = 0
