with

source as (

    select * from {{ source('greenery', 'order_items') }}

),

final as (

    select
        -- ids
        order_id,
        product_id,
        -- numerics
        quantity,
        -- timestamps
        _loaded_at as loaded_at
    from source

)

select * from final
