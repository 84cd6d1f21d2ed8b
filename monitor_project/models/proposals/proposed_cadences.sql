-- The cadence that the builds of an environment had within baseline_days of the newest one: the shortest usual one that its middle interval keeps,
-- on the weekdays that had builds. It is proposed only if it would have alerted once at most, and once a weekend was seen. Builds of the whole
-- project count where there were two of them, and all builds elsewhere, as for the cadences themselves.
{%- set cadences = [0.25, 0.5, 1, 2, 3, 4, 6, 8, 12, 24, 48, 168] %}
{%- set weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] %}

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
        sum(case when is_whole_project then 1 else 0 end) over (partition by project, environment) as whole_count,
        max(ended_at) over (partition by project, environment) as last_ended_at
    from jobs

),

sequenced as (

    select
        project,
        environment,
        ended_at,
        last_ended_at,
        {{ weekday('ended_at') }} as ended_on,
        lag(ended_at) over (
            partition by project, environment
            order by ended_at, job_key
        ) as prior_ended_at
    from counted
    where
        (is_whole_project or whole_count < 2)
        and ended_at > {{ dbt.dateadd('day', '-' ~ var('baseline_days'), 'last_ended_at') }}

),

intervals as (

    select
        *,
        {{ seconds_between('prior_ended_at', 'ended_at') }} / 3600 as interval_hours
    from sequenced
    where prior_ended_at is not null

),

ordered as (

    select
        *,
        row_number() over (
            partition by project, environment
            order by interval_hours
        ) as interval_number,
        count(*) over (partition by project, environment) as interval_count
    from intervals

),

-- The middle interval; of an even number the shorter one of the two.
usual as (

    select
        project,
        environment,
        interval_hours as usual_hours,
        case
            {%- for hours in cadences %}
            when interval_hours * 0.9 <= {{ hours }} then {{ hours }}
            {%- endfor %}
        end as every_hours
    from ordered
    where interval_number = floor((interval_count + 1) / 2)

),

summed as (

    select
        project,
        environment,
        count(*) as interval_count,
        max(last_ended_at) as last_ended_at,
        {{ seconds_between('min(prior_ended_at)', 'max(ended_at)') }} / 86400 as seen_days,
        {%- for day in weekdays %}
        max(case when ended_on = '{{ day }}' then 1 else 0 end) as has_{{ day }}{{ ',' if not loop.last }}
        {%- endfor %}
    from ordered
    group by project, environment

),

-- Within two weeks a weekday without a build may be chance, and a week has two free days at most.
dated as (

    select
        summed.*,
        usual.usual_hours,
        usual.every_hours,
        case when usual.every_hours * 0.1 > 1 then ceil(usual.every_hours * 0.1) else 1 end as grace_hours,
        case
            when
                summed.seen_days >= 14
                and usual.every_hours between 12 and 48
                and 7{% for day in weekdays %} - summed.has_{{ day }}{% endfor %} <= 2
                then 7{% for day in weekdays %} - summed.has_{{ day }}{% endfor %}
            else 0
        end as free_days
    from summed
    inner join usual
        on
            summed.project = usual.project
            and summed.environment = usual.environment
    where
        usual.every_hours is not null
        and summed.interval_count >= {{ var('baseline_least_runs') }} - 1
        -- A weekend was seen, and four of the intervals.
        and summed.seen_days >= 8
        and summed.seen_days * 24 >= 4 * usual.every_hours * 0.9

),

kept as (

    select
        dated.project,
        dated.environment,
        sum(
            case when ordered.interval_hours <= dated.every_hours + dated.grace_hours + 24 * dated.free_days then 1 else 0 end
        ) as kept_count
    from dated
    inner join ordered
        on
            dated.project = ordered.project
            and dated.environment = ordered.environment
    group by dated.project, dated.environment

),

final as (

    select
        dated.project,
        dated.environment,
        cast(dated.every_hours as double) as every_hours,
        cast(dated.grace_hours as double) as grace_hours,
        case
            when dated.free_days > 0
                then trim(
                    {%- for day in weekdays %}
                    case when dated.has_{{ day }} = 1 then '{{ day }} ' else '' end{{ ' ||' if not loop.last }}
                    {%- endfor %}
                )
        end as days,
        cast(dated.interval_count + 1 as bigint) as build_count,
        cast(kept.kept_count as bigint) as kept_count,
        cast(dated.usual_hours as double) as usual_hours,
        dated.last_ended_at,
        'builds up to ' || cast(cast(dated.last_ended_at as date) as {{ dbt.type_string() }}) || ': '
        || cast(dated.interval_count + 1 as {{ dbt.type_string() }}) || ', usually '
        || cast(cast(dated.usual_hours as decimal(18, 1)) as {{ dbt.type_string() }}) || ' hours apart' as evidence
    from dated
    inner join kept
        on
            dated.project = kept.project
            and dated.environment = kept.environment
    inner join {{ ref('dim_environments') }} as environments
        on
            dated.project = environments.project
            and dated.environment = environments.environment
    left join {{ ref('run_cadences') }} as cadences
        on
            dated.project = cadences.project
            and dated.environment = cadences.environment
    where
        cadences.project is null
        and not environments.is_silent
        and kept.kept_count >= dated.interval_count - 1

)

select * from final
