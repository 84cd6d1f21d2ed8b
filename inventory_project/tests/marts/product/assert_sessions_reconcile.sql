-- No session or event is lost or duplicated from staging to the marts. Failing rows: totals that differ.
with

events as (

    select
        count(*) as event_count,
        count(distinct session_id) as session_count
    from {{ ref('stg_greenery__events') }}

),

sessions as (

    select
        coalesce(sum(
            {%- for event_type in var('event_types') %}{{ ' + ' if not loop.first }}{{ event_type }}_count{% endfor -%}
        ), 0) as event_count,
        count(*) as session_count
    from {{ ref('fct_sessions') }}

),

funnel as (

    select coalesce(sum(n_sessions), 0) as session_count
    from {{ ref('f_product_weekly_funnel') }}

)

select
    events.event_count,
    sessions.event_count as event_count_in_sessions,
    events.session_count,
    sessions.session_count as session_count_in_sessions,
    funnel.session_count as session_count_in_funnel
from events
cross join sessions
cross join funnel
where
    events.event_count != sessions.event_count
    or events.session_count != sessions.session_count
    or events.session_count != funnel.session_count
