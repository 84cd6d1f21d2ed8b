-- Which products' inventory changed from the previous week to the latest one?
with

inventory as (

    select
        product_id,
        name as product_name,
        inventory as inventory_count,
        dbt_scd_id,
        dbt_updated_at,
        dbt_valid_from,
        dbt_valid_to
    from {{ ref('product_inventory_snapshot') }}

),

latest_count as (

    select max(dbt_valid_from) as counted_at from inventory

),

final as (

    select
        inventory.product_id,
        inventory.product_name,
        previous.inventory_count as prior_inventory_count,
        inventory.inventory_count
    from inventory
    inner join latest_count
        on inventory.dbt_valid_from = latest_count.counted_at
    -- A product new in the latest week has no previous row and does not count as changed.
    inner join inventory as previous
        on
            inventory.product_id = previous.product_id
            and inventory.dbt_valid_from = previous.dbt_valid_to

)

select * from final
order by product_name
