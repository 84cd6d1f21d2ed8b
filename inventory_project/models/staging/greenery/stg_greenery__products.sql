with

source as (

    select * from {{ source('greenery', 'products') }}

),

final as (

    select
        -- ids
        product_id,
        -- text
        name as product_name,
        -- numerics
        price as price_usd,
        inventory as inventory_count,
        -- timestamps
        counted_at,
        _loaded_at as loaded_at
    from source

)

select * from final
