with

forecasts as (

    select * from {{ ref('fct_stock_forecasts') }}

),

last_in_stock as (

    select
        project,
        environment,
        product_id,
        max(counted_at) as last_in_stock_at
    from forecasts
    where inventory_count > 0
    group by project, environment, product_id

),

outs as (

    select
        forecasts.project,
        forecasts.environment,
        forecasts.product_id,
        min(forecasts.counted_at) as out_since_at
    from forecasts
    left join last_in_stock
        on
            forecasts.project = last_in_stock.project
            and forecasts.environment = last_in_stock.environment
            and forecasts.product_id = last_in_stock.product_id
    where
        forecasts.inventory_count <= 0
        and (last_in_stock.last_in_stock_at is null or forecasts.counted_at > last_in_stock.last_in_stock_at)
    group by forecasts.project, forecasts.environment, forecasts.product_id

),

final as (

    select
        forecasts.project,
        forecasts.environment,
        forecasts.product_id,
        forecasts.product_name,
        forecasts.is_still_sold,
        forecasts.inventory_count,
        forecasts.counted_at as last_counted_at,
        outs.out_since_at,
        forecasts.mean_daily_fall,
        forecasts.days_left,
        forecasts.last_observed_at
    from forecasts
    left join outs
        on
            forecasts.project = outs.project
            and forecasts.environment = outs.environment
            and forecasts.product_id = outs.product_id
    where forecasts.is_latest

)

select * from final
