-- Which products had their inventory change from the week before to the latest week?
with

inventory as (

    select * from {{ ref('product_inventory_snapshot') }}

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
    -- A product that is new this week has no row before and did not change.
    inner join inventory as previous
        on
            inventory.product_id = previous.product_id
            and inventory.dbt_valid_from = previous.dbt_valid_to

)

select * from final
order by product_name
