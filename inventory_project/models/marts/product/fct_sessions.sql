with

events as (

    select * from {{ ref('stg_greenery__events') }}

),

counted as (

    select
        session_id,
        min(user_id) as user_id,
        min(created_at) as started_at,
        max(created_at) as ended_at,
        {{ sum_all_event_types() }}
    from events
    group by session_id

),

final as (

    select
        session_id,
        user_id,
        started_at,
        ended_at,
        {%- for event_type in var('event_types') %}
        {{ event_type }}_count,
        {{ event_type }}_count > 0 as has_{{ event_type }},
        {%- endfor %}
        cast({{ dbt.date_trunc('week', 'started_at') }} as date) as week_date
    from counted

)

select * from final
