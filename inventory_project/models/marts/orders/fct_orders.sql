with

orders as (

    select * from {{ ref('stg_greenery__orders') }}

),

order_items as (

    select * from {{ ref('stg_greenery__order_items') }}

),

products as (

    select * from {{ ref('stg_greenery__products') }}

),

promos as (

    select * from {{ ref('stg_greenery__promos') }}

),

items_by_order as (

    select
        order_items.order_id,
        count(*) as product_count,
        sum(order_items.quantity) as unit_count,
        sum(order_items.quantity * products.price_usd) as item_cost_at_current_prices_usd
    from order_items
    inner join products
        on order_items.product_id = products.product_id
    group by order_items.order_id

),

final as (

    select
        orders.order_id,
        orders.user_id,
        orders.promo_id,
        orders.order_status,
        orders.shipping_service,
        orders.order_cost_usd,
        orders.shipping_cost_usd,
        coalesce(promos.discount_usd, 0) as discount_usd,
        orders.order_total_usd,
        coalesce(items_by_order.product_count, 0) as product_count,
        coalesce(items_by_order.unit_count, 0) as unit_count,
        coalesce(items_by_order.item_cost_at_current_prices_usd, 0) as item_cost_at_current_prices_usd,
        orders.created_at,
        orders.delivered_at,
        {{ dbt.datediff('orders.created_at', 'orders.delivered_at', 'second') }} / 86400.0 as delivery_days
    from orders
    left join items_by_order
        on orders.order_id = items_by_order.order_id
    left join promos
        on orders.promo_id = promos.promo_id

)

select * from final
