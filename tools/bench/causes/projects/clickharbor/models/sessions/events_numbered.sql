with gaps as (
    select
        *,
        lag(occurred_at) over (partition by anonymous_id order by occurred_at, event_id) as previous_at
    from {{ ref('events_cleaned') }}
),

starts as (
    select
        *,
        case
            when previous_at is null then 1
            when date_diff('minute', previous_at, occurred_at) > {{ var('session_gap_minutes') }} then 1
            else 0
        end as starts_session
    from gaps
)

select
    *,
    sum(starts_session) over (
        partition by anonymous_id order by occurred_at, event_id
        rows between unbounded preceding and current row
    ) as session_no
from starts
