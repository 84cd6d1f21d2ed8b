-- No step of the funnel has more sessions than the step before it. Failing rows: weeks with such a step.
select *
from {{ ref('f_product_weekly_funnel') }}
where
    n_page_view_sessions > n_sessions
    or n_add_to_cart_sessions > n_page_view_sessions
    or n_checkout_sessions > n_add_to_cart_sessions
