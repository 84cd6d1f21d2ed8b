-- The cadence that the builds of an environment had: the shortest usual one that most intervals keep. Builds of the whole project count where
-- there were two of them, and all builds elsewhere, as for the cadences themselves.
{%- set cadences = [0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24, 48, 168] %}

with

jobs as (

    select
        *,
        {{ is_whole_project('selection') }} as is_whole_project
    from {{ ref('fct_jobs') }}

),

counted as (

    select
        *,
        sum(case when is_whole_project then 1 else 0 end) over (partition by project, environment) as whole_count
    from jobs

),

sequenced as (

    select
        project,
        environment,
        ended_at,
        {{ weekday('ended_at') }} as ended_on,
        lag(ended_at) over (
            partition by project, environment
            order by ended_at, job_key
        ) as prior_ended_at,
        row_number() over (
            partition by project, environment
            order by ended_at desc, job_key desc
        ) as newest_number
    from counted
    where
        is_whole_project
        or whole_count < 2

),

recent as (

    select
        *,
        {{ seconds_between('prior_ended_at', 'ended_at') }} / 3600 as interval_hours
    from sequenced
    where newest_number <= {{ var('baseline_runs') }}

),

ordered as (

    select
        *,
        row_number() over (
            partition by project, environment
            order by interval_hours
        ) as interval_number,
        count(interval_hours) over (partition by project, environment) as interval_count
    from recent
    where interval_hours is not null

),

-- The middle interval; of an even number the shorter one of the two.
usual as (

    select
        project,
        environment,
        interval_count,
        interval_hours as usual_hours,
        case
            {%- for hours in cadences %}
            when interval_hours * 0.9 <= {{ hours }} then {{ hours }}
            {%- endfor %}
        end as every_hours
    from ordered
    where interval_number = floor((interval_count + 1) / 2)

),

chosen as (

    select
        *,
        case when every_hours * 0.1 > 1 then ceil(every_hours * 0.1) else 1 end as grace_hours
    from usual
    where
        interval_count >= {{ var('baseline_least_runs') }} - 1
        and every_hours is not null

),

kept as (

    select
        chosen.project,
        chosen.environment,
        chosen.every_hours,
        chosen.grace_hours,
        chosen.usual_hours,
        chosen.interval_count,
        min(ordered.prior_ended_at) as first_ended_at,
        max(ordered.ended_at) as last_ended_at,
        sum(case when ordered.interval_hours <= chosen.every_hours + chosen.grace_hours then 1 else 0 end) as kept_count,
        sum(case when ordered.ended_on in ('sat', 'sun') then 1 else 0 end) as weekend_count
    from chosen
    inner join ordered
        on
            chosen.project = ordered.project
            and chosen.environment = ordered.environment
    group by
        chosen.project, chosen.environment, chosen.every_hours, chosen.grace_hours, chosen.usual_hours, chosen.interval_count

),

final as (

    select
        kept.project,
        kept.environment,
        cast(kept.every_hours as double) as every_hours,
        cast(kept.grace_hours as double) as grace_hours,
        -- Without a build on a weekend in more than a week, none is expected there.
        case
            when
                kept.every_hours <= 24
                and kept.weekend_count = 0
                and {{ seconds_between('kept.first_ended_at', 'kept.last_ended_at') }} > 8 * 86400
                then 'mon tue wed thu fri'
        end as days,
        cast(kept.interval_count + 1 as bigint) as build_count,
        cast(kept.kept_count as bigint) as kept_count,
        cast(kept.usual_hours as double) as usual_hours,
        kept.last_ended_at,
        'builds up to ' || cast(cast(kept.last_ended_at as date) as {{ dbt.type_string() }}) || ': '
        || cast(kept.interval_count + 1 as {{ dbt.type_string() }}) || ', usually '
        || cast(cast(kept.usual_hours as decimal(18, 1)) as {{ dbt.type_string() }}) || ' hours apart' as evidence
    from kept
    left join {{ ref('run_cadences') }} as cadences
        on
            kept.project = cadences.project
            and kept.environment = cadences.environment
    where
        cadences.project is null
        -- Three of four intervals, so that four of five do where weekends are free.
        and kept.kept_count >= 0.75 * kept.interval_count

)

select * from final
