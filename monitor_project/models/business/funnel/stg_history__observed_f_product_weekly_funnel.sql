{{ config(materialized='view', contract={'enforced': false}) }}

with

source as (

    select *
    from {{ without_copies(
        source('history', 'observed_f_product_weekly_funnel'),
        ['_project', '_environment', '_content_hash', 'wk']
    ) }} as copies

),

final as (

    select
        _project as project,
        _environment as environment,
        _content_hash as content_hash,
        _observed_at as observed_at,
        wk as week_date,
        {{ bounded('n_sessions', 'count') }} as session_count,
        {{ bounded('n_page_view_sessions', 'count') }} as page_view_count,
        {{ bounded('n_add_to_cart_sessions', 'count') }} as add_to_cart_count,
        {{ bounded('n_checkout_sessions', 'count') }} as checkout_count,
        add_to_cart_dropoff as add_to_cart_dropoff_rate,
        checkout_dropoff as checkout_dropoff_rate,
        run_date
    from source

)

select * from final
