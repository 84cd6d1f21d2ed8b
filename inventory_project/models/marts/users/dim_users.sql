with

users as (

    select * from {{ ref('stg_greenery__users') }}

),

orders as (

    select * from {{ ref('stg_greenery__orders') }}

),

orders_by_user as (

    select
        user_id,
        count(*) as order_count,
        min(created_at) as first_order_at
    from orders
    group by user_id

),

final as (

    select
        users.user_id,
        coalesce(orders_by_user.order_count, 0) as order_count,
        coalesce(orders_by_user.order_count, 0) > 0 as is_buyer,
        coalesce(orders_by_user.order_count, 0) > 1 as is_repeat_buyer,
        orders_by_user.first_order_at,
        users.created_at
    from users
    left join orders_by_user
        on users.user_id = orders_by_user.user_id

)

select * from final
