with

sessions as (

    select * from {{ ref('fct_sessions') }}

),

-- The grain is the week: by day, a session that spans midnight would count twice.
weekly as (

    select
        week_date as wk,
        count(*) as n_sessions,
        sum(case when has_page_view then 1 else 0 end) as n_page_view_sessions,
        sum(case when has_add_to_cart then 1 else 0 end) as n_add_to_cart_sessions,
        sum(case when has_checkout then 1 else 0 end) as n_checkout_sessions
    from sessions
    group by week_date

),

-- The drop-off of a step without sessions is null, not zero.
final as (

    select
        wk,
        n_sessions,
        n_page_view_sessions,
        n_add_to_cart_sessions,
        round(1 - n_add_to_cart_sessions * 1.0 / nullif(n_page_view_sessions, 0), 10) as add_to_cart_dropoff,
        n_checkout_sessions,
        round(1 - n_checkout_sessions * 1.0 / nullif(n_add_to_cart_sessions, 0), 10) as checkout_dropoff
    from weekly

)

select * from final
