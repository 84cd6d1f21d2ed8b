with

events as (

    select * from {{ ref('stg_greenery__events') }}

),

hourly as (

    select
        {{ dbt.date_trunc('hour', 'created_at') }} as hour_at,
        count(*) as event_count,
        count(distinct session_id) as session_count,
        count(distinct case when event_type = 'checkout' then order_id end) as order_count
    from events
    group by 1

),

final as (

    select
        hour_at,
        event_count,
        session_count,
        order_count
    from hourly

)

select * from final
