with

source as (

    select * from {{ source('greenery', 'users') }}

),

final as (

    select
        -- ids
        user_id,
        address_id,
        -- text
        first_name,
        last_name,
        email,
        phone_number,
        -- timestamps
        created_at,
        updated_at,
        _loaded_at as loaded_at
    from source

)

select * from final
