-- Each interval of a product ends after it starts and when the next one starts. Failing rows: intervals that end before they start, overlap
-- the next one, leave a gap before it, or are a second current row.
with

intervals as (

    select
        product_id,
        dbt_valid_from,
        dbt_valid_to,
        lead(dbt_valid_from) over (partition by product_id order by dbt_valid_from, dbt_scd_id) as next_valid_from
    from {{ ref('product_inventory_snapshot') }}

)

select * from intervals
where
    dbt_valid_to <= dbt_valid_from
    or dbt_valid_to != next_valid_from
    or (dbt_valid_to is null) != (next_valid_from is null)
