-- Did any item go out of stock in the last three weeks? With the stock before and after.
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

neighbours as (

    select
        product_id,
        product_name,
        inventory_count,
        dbt_valid_from,
        lag(inventory_count) over (partition by product_id order by dbt_valid_from, dbt_scd_id) as prior_inventory_count,
        lead(inventory_count) over (partition by product_id order by dbt_valid_from, dbt_scd_id) as next_inventory_count
    from inventory

),

-- The three weeks up to the latest count, both ends inclusive.
final as (

    select
        neighbours.product_id,
        neighbours.product_name,
        neighbours.prior_inventory_count,
        neighbours.inventory_count,
        neighbours.next_inventory_count,
        neighbours.dbt_valid_from as out_of_stock_at
    from neighbours
    cross join latest_count
    where
        neighbours.inventory_count = 0
        and neighbours.dbt_valid_from >= {{ dbt.dateadd('day', -21, 'latest_count.counted_at') }}

)

select * from final
order by product_name
