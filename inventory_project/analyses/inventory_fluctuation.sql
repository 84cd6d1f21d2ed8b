-- Which products had the most fluctuation in inventory? Sum of absolute changes, in units.
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

moves as (

    select
        product_id,
        product_name,
        abs(
            lag(inventory_count) over (partition by product_id order by dbt_updated_at, dbt_scd_id) - inventory_count
        ) as moved_unit_count
    from inventory

),

final as (

    select
        product_id,
        max(product_name) as product_name,
        sum(moved_unit_count) as moved_unit_count
    from moves
    group by product_id
    having sum(moved_unit_count) > 0

)

select * from final
order by moved_unit_count desc, product_name asc
