-- Calls the macro on four literal events of two sessions. Failing rows: wrong counts.
with

events as (

    select
'a' as session_id,
'page_view' as event_type
    union all
    select
'a' as session_id,
'page_view' as event_type
    union all
    select
'a' as session_id,
'checkout' as event_type
    union all
    select
'b' as session_id,
'add_to_cart' as event_type

),

counted as (

    select {{ sum_all_event_types() }}
    from events

)

select * from counted
where
    page_view_count != 2
    or add_to_cart_count != 1
    or checkout_count != 1
    or package_shipped_count != 0
    or session_count != 2
