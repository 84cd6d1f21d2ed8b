-- Days that the stock of each count lasts, by the mean daily decrease over the product's last stock_falls decreases up to that count.
-- Increases (deliveries) are ignored. Orders are not used, since they cover only two days.
with

counts as (

    select
        *,
        lag(counted_at) over (
            partition by project, environment, product_id
            order by counted_at
        ) as prior_counted_at
    from {{ ref('fct_stock_counts') }}

),

measured as (

    select
        *,
        coalesce(inventory_count < prior_inventory_count, false) as is_fall,
        case
            when inventory_count < prior_inventory_count
                then (prior_inventory_count - inventory_count) * 86400.0 / nullif({{ seconds_between('prior_counted_at', 'counted_at') }}, 0)
        end as daily_fall
    from counts

),

numbered as (

    select
        *,
        sum(case when is_fall then 1 else 0 end) over (
            partition by project, environment, product_id
            order by counted_at
            rows between unbounded preceding and current row
        ) as fall_number
    from measured

),

falls as (

    select
        project,
        environment,
        product_id,
        fall_number,
        daily_fall
    from numbered
    where is_fall

),

averaged as (

    select
        numbered.stock_count_id,
        avg(falls.daily_fall) as mean_daily_fall
    from numbered
    inner join falls
        on
            numbered.project = falls.project
            and numbered.environment = falls.environment
            and numbered.product_id = falls.product_id
            and numbered.fall_number >= falls.fall_number
            and numbered.fall_number - {{ var('stock_falls') }} < falls.fall_number
    group by numbered.stock_count_id

),

final as (

    select
        numbered.stock_count_id,
        numbered.project,
        numbered.environment,
        numbered.product_id,
        numbered.product_name,
        numbered.counted_at,
        numbered.inventory_count,
        numbered.is_latest,
        numbered.is_still_sold,
        numbered.last_observed_at,
        cast(numbered.daily_fall as double) as daily_fall,
        cast(averaged.mean_daily_fall as double) as mean_daily_fall,
        cast(case when numbered.inventory_count > 0 then numbered.inventory_count / averaged.mean_daily_fall else 0 end as double)
            as days_left
    from numbered
    left join averaged
        on numbered.stock_count_id = averaged.stock_count_id

)

select * from final
