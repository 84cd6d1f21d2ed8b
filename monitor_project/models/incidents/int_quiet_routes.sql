-- Routes that are quiet at as_of: from quiet_from to quiet_to, which may lie on the next day, and on the whole of their quiet_days.
with

routes as (

    select
        routes.priority,
        lower(routes.quiet_days) as quiet_days,
        {{ seconds_of_day('routes.quiet_from') }} as from_seconds,
        {{ seconds_of_day('routes.quiet_to') }} as to_seconds,
        coalesce(zones.name, 'UTC') as zone
    from {{ ref('alert_routes') }} as routes
    left join {{ known_timezones() }} as zones
        on routes.timezone = zones.name

),

local_times as (

    select
        *,
        {{ local_time(as_of(), 'zone') }} as local_at
    from routes

),

timed as (

    select
        *,
        {{ seconds_between(dbt.date_trunc('day', 'local_at'), 'local_at') }} as local_seconds
    from local_times

),

final as (

    select distinct priority
    from timed
    where
        quiet_days like '%' || {{ weekday('local_at') }} || '%'
        or (from_seconds <= to_seconds and local_seconds >= from_seconds and local_seconds < to_seconds)
        or (from_seconds > to_seconds and (local_seconds >= from_seconds or local_seconds < to_seconds))

)

select * from final
