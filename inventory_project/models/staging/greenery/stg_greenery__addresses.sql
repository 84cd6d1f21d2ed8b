with

source as (

    select * from {{ source('greenery', 'addresses') }}

),

final as (

    select
        -- ids
        address_id,
        -- text
        address as street_address,
        lpad(cast(zipcode as varchar), 5, '0') as zipcode,
        state as state_name,
        country,
        -- timestamps
        _loaded_at as loaded_at
    from source

)

select * from final
