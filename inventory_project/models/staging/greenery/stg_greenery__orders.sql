with

source as (

    select * from {{ source('greenery', 'orders') }}

),

final as (

    select
        -- ids
        order_id,
        user_id,
        promo_id,
        address_id,
        tracking_id,
        -- text
        shipping_service,
        status as order_status,
        -- numerics
        order_cost as order_cost_usd,
        shipping_cost as shipping_cost_usd,
        order_total as order_total_usd,
        -- timestamps
        created_at,
        estimated_delivery_at,
        delivered_at,
        _loaded_at as loaded_at
    from source

)

select * from final
