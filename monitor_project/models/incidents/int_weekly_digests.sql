-- The digest of each channel whose first route with a weekday names one: its incidents in the seven local days before the last such midnight.
-- Nothing where there was none. A service that opens an alert for each incident gets none.
with

routes as (

    select
        coalesce(routes.channel, {{ default_channel() }}) as channel,
        lower(routes.digest) as digest,
        routes.priority,
        coalesce(zones.name, 'UTC') as zone,
        row_number() over (
            partition by coalesce(routes.channel, {{ default_channel() }})
            order by routes.priority
        ) as channel_number
    from {{ ref('alert_routes') }} as routes
    left join {{ known_timezones() }} as zones
        on routes.timezone = zones.name
    where routes.digest is not null

),

channels as (

    select
        channel,
        priority,
        digest,
        zone,
        {{ dbt.date_trunc('day', local_time(as_of(), 'zone')) }} as local_midnight
    from routes
    where
        channel_number = 1
        and {{ service_of('channel') }} not in ({{ text_list(var('services_per_incident')) }})

),

dated as (

    select
        *,
        case
            {%- for day in range(7) %}
            {%- set midnight = add_seconds('local_midnight', -86400 * day) %}
            when position({{ weekday(midnight) }} in digest) > 0 then {{ midnight }}
            {%- endfor %}
        end as local_end
    from channels

),

-- By local days: a week in which the clocks change has an hour more or less.
weeks as (

    select
        channel,
        priority as route_priority,
        {{ instant_of(add_seconds('local_end', -7 * 86400), 'zone') }} as week_started_at,
        {{ instant_of('local_end', 'zone') }} as week_ended_at,
        cast({{ add_seconds('local_end', -86400) }} as date) as last_day
    from dated
    where local_end is not null

),

incidents as (

    select
        weeks.channel,
        weeks.week_started_at,
        weeks.week_ended_at,
        incidents.incident_id,
        incidents.kind,
        incidents.title || ', ' || incidents.project || ' (' || incidents.environment || ')' as title,
        incidents.started_at,
        coalesce(incidents.owner, 'no owner') as owner,
        case when incidents.started_at >= weeks.week_started_at then 1 else 0 end as is_new,
        case when incidents.ended_at is null or incidents.ended_at >= weeks.week_ended_at then 1 else 0 end as is_open,
        case when incidents.ended_at < weeks.week_ended_at and incidents.incident_status = 'resolved' then 1 else 0 end as is_resolved,
        case when incidents.ended_at < weeks.week_ended_at and incidents.incident_status = 'closed' then 1 else 0 end as is_closed
    from weeks
    inner join {{ ref('fct_incident_routes') }} as incident_routes
        on weeks.channel = incident_routes.channel
    inner join {{ ref('fct_incidents') }} as incidents
        on incident_routes.incident_id = incidents.incident_id
    where
        incidents.started_at < weeks.week_ended_at
        and (incidents.ended_at is null or incidents.ended_at >= weeks.week_started_at)

),

owners as (

    select
        channel,
        owner,
        row_number() over (
            partition by channel
            order by sum(is_open) desc, sum(is_new) desc, owner
        ) as owner_number,
        owner || ': ' || sum(is_new) || ' new, ' || sum(is_open) || ' open, ' || sum(is_resolved) || ' recovered' as owner_text
    from incidents
    group by channel, owner

),

owner_texts as (

    select
        channel,
        {{ dbt.listagg('owner_text', "'; '", 'order by owner_number') }} as owners
    from owners
    where owner_number <= 10
    group by channel

),

oldest as (

    select
        channel,
        title,
        incident_id,
        started_at,
        row_number() over (
            partition by channel
            order by started_at, incident_id
        ) as oldest_number
    from incidents
    where is_open = 1

),

oldest_texts as (

    select
        channel,
        {{ dbt.listagg('title', "'; '", 'order by oldest_number') }} as oldest_open
    from oldest
    where oldest_number <= 5
    group by channel

),

counted as (

    select
        channel,
        week_started_at,
        week_ended_at,
        sum(is_new) as new_count,
        sum(is_open) as open_count,
        sum(is_resolved) as resolved_count,
        sum(is_closed) as closed_count,
        sum(case when kind = 'test_flaky' then is_open else 0 end) as flaky_count,
        sum(case when kind = 'model_slow' then is_open else 0 end) as slow_count
    from incidents
    group by channel, week_started_at, week_ended_at

),

-- Of all alerting environments, where it is priced.
costs as (

    select
        counted.channel,
        sum({{ cost_of('costs.bytes_processed', 'costs.slot_milliseconds') }}) as cost
    from counted
    {%- if var('price_per_tebibyte') or var('price_per_slot_hour') %}
    inner join {{ ref('fct_node_costs') }} as costs
        on
            counted.week_started_at <= costs.observed_at
            and counted.week_ended_at > costs.observed_at
    where costs.environment in ({{ text_list(alerting_environments()) }})
    {%- endif %}
    group by counted.channel

),

final as (

    select
        {{ surrogate_key(['counted.channel', 'counted.week_ended_at']) }} as weekly_digest_id,
        counted.channel,
        {{ service_of('counted.channel') }} as service,
        weeks.route_priority,
        counted.week_started_at,
        counted.week_ended_at,
        weeks.last_day,
        cast(counted.new_count as bigint) as new_count,
        cast(counted.open_count as bigint) as open_count,
        cast(counted.resolved_count as bigint) as resolved_count,
        cast(counted.closed_count as bigint) as closed_count,
        cast(counted.flaky_count as bigint) as flaky_count,
        cast(counted.slow_count as bigint) as slow_count,
        owner_texts.owners,
        oldest_texts.oldest_open,
        cast(
            round(cast(case when costs.cost > 100000000000 then 100000000000 else costs.cost end as decimal(18, 6)), 2) as double
        ) as cost
    from counted
    inner join weeks
        on counted.channel = weeks.channel
    inner join owner_texts
        on counted.channel = owner_texts.channel
    left join oldest_texts
        on counted.channel = oldest_texts.channel
    left join costs
        on counted.channel = costs.channel

)

select * from final
