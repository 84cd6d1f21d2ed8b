with

products as (

    select * from {{ ref('dim_products') }}

),

events as (

    select * from {{ ref('stg_greenery__events') }}

),

order_items as (

    select * from {{ ref('stg_greenery__order_items') }}

),

touched as (

    select
        product_id,
        count(distinct case when event_type = 'page_view' then session_id end) as page_view_session_count,
        count(distinct case when event_type = 'add_to_cart' then session_id end) as add_to_cart_session_count
    from events
    where product_id is not null
    group by product_id

),

-- A checkout event has an order_id and no product_id, so it counts for each product of the order.
ordered as (

    select
        order_items.product_id,
        count(distinct events.session_id) as checkout_session_count
    from events
    inner join order_items
        on events.order_id = order_items.order_id
    where events.event_type = 'checkout'
    group by order_items.product_id

),

sold as (

    select
        product_id,
        sum(quantity) as sold_unit_count
    from order_items
    group by product_id

),

final as (

    select
        products.product_id,
        products.product_name,
        coalesce(touched.page_view_session_count, 0) as page_view_session_count,
        coalesce(touched.add_to_cart_session_count, 0) as add_to_cart_session_count,
        coalesce(ordered.checkout_session_count, 0) as checkout_session_count,
        coalesce(sold.sold_unit_count, 0) as sold_unit_count,
        coalesce(ordered.checkout_session_count, 0) * 1.0
        / nullif(touched.page_view_session_count, 0) as conversion_rate
    from products
    left join touched
        on products.product_id = touched.product_id
    left join ordered
        on products.product_id = ordered.product_id
    left join sold
        on products.product_id = sold.product_id

)

select * from final
