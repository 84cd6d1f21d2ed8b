with

products as (

    select * from {{ ref('stg_greenery__products') }}

),

final as (

    select
        product_id,
        product_name,
        price_usd,
        inventory_count,
        inventory_count = 0 as is_out_of_stock,
        counted_at
    from products

)

select * from final
