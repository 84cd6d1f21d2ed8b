-- Each incident is in the context once, and, unless it is muted or its alerts are off, in a channel. Failing rows: incidents that one of these
-- lost or has twice.
{{ config(tags=['all_tests']) }}

with

contexts as (

    select
        incident_id,
        count(*) as context_count,
        max(case when is_muted or is_alert_off then 1 else 0 end) as is_silent
    from {{ ref('fct_incident_context') }}
    group by incident_id

),

routes as (

    select
        incident_id,
        count(*) as channel_count
    from {{ ref('fct_incident_routes') }}
    group by incident_id

)

select
    incidents.incident_id,
    contexts.context_count,
    contexts.is_silent,
    routes.channel_count
from {{ ref('fct_incidents') }} as incidents
left join contexts
    on incidents.incident_id = contexts.incident_id
left join routes
    on incidents.incident_id = routes.incident_id
where
    coalesce(contexts.context_count, 0) != 1
    or (contexts.is_silent = 1) != (coalesce(routes.channel_count, 0) = 0)
