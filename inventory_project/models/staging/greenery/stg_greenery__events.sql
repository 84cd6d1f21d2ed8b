with

source as (

    select * from {{ source('greenery', 'events') }}

),

final as (

    select
        -- ids
        event_id,
        session_id,
        user_id,
        order_id,
        product_id,
        -- text
        event_type,
        page_url,
        -- timestamps
        created_at,
        _loaded_at as loaded_at
    from source

)

select * from final
