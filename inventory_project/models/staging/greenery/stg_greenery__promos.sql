with

source as (

    select * from {{ source('greenery', 'promos') }}

),

final as (

    select
        -- ids
        promo_id,
        -- text
        status as promo_status,
        -- numerics
        discount as discount_usd,
        -- timestamps
        _loaded_at as loaded_at
    from source

)

select * from final
