-- The shop's weekly funnel as it was observed last. The same content may have been observed on several dates.
with

newest as (

    select * from {{ ref('fct_observations') }}
    where
        observed_table = 'observed_f_product_weekly_funnel'
        and is_newest

),

contents as (

    select
        *,
        row_number() over (
            partition by project, environment, content_hash, week_date
            order by observed_at desc, run_date desc
        ) as newest_number
    from {{ ref('stg_history__observed_f_product_weekly_funnel') }}

),

final as (

    select
        {{ surrogate_key(['newest.project', 'newest.environment', 'contents.week_date']) }} as product_funnel_id,
        newest.project,
        newest.environment,
        cast(contents.week_date as date) as week_date,
        cast(contents.session_count as bigint) as session_count,
        cast(contents.page_view_count as bigint) as page_view_count,
        cast(contents.add_to_cart_count as bigint) as add_to_cart_count,
        cast(contents.checkout_count as bigint) as checkout_count,
        cast(contents.add_to_cart_dropoff_rate as double) as add_to_cart_dropoff_rate,
        cast(contents.checkout_dropoff_rate as double) as checkout_dropoff_rate,
        newest.observed_at as last_observed_at
    from newest
    inner join contents
        on
            newest.project = contents.project
            and newest.environment = contents.environment
            and newest.content_hash = contents.content_hash
    where contents.newest_number = 1

)

select * from final
