-- The share of checks, and of time, in which a source was fresh. The time up to the next check is judged by the earlier check, whose last
-- load is fresh until stale_at.
with

checks as (

    select * from {{ ref('fct_source_freshness') }}
    where outcome in ('success', 'warning', 'failure')

),

spaced as (

    select
        *,
        lead(observed_at, 1, {{ as_of() }}) over (
            partition by project, environment, node_id
            order by observed_at, invocation_id
        ) as next_observed_at,
        row_number() over (
            partition by project, environment, node_id
            order by observed_at desc, invocation_id desc
        ) as newest_number
    from checks

),

-- The time after a check whose query failed is not counted: freshness is unknown.
measured as (

    select
        *,
        case
            when freshness_status != 'runtime error' then {{ seconds_between('observed_at', 'next_observed_at') }} / 60
        end as watched_minutes,
        case
            when freshness_status = 'runtime error' then null
            when stale_at is null or stale_at <= observed_at then 0
            when stale_at < next_observed_at then {{ seconds_between('observed_at', 'stale_at') }} / 60
            else {{ seconds_between('observed_at', 'next_observed_at') }} / 60
        end as fresh_minutes
    from spaced

),

final as (

    select
        project,
        environment,
        node_id,
        count(*) as check_count,
        cast(sum(case when outcome in ('success', 'warning') then 1 else 0 end) as bigint) as fresh_check_count,
        cast(sum(case when outcome in ('success', 'warning') then 1 else 0 end) as double) / count(*) as fresh_check_rate,
        cast(sum(watched_minutes) as double) as watched_minutes,
        cast(sum(fresh_minutes) as double) as fresh_minutes,
        cast(sum(fresh_minutes) / nullif(sum(watched_minutes), 0) as double) as fresh_time_rate,
        max(observed_at) as last_checked_at,
        max(case when newest_number = 1 then stale_at end) as stale_at,
        {{ seconds_between(as_of(), "max(case when newest_number = 1 then stale_at end)") }} / 3600 as hours_until_stale
    from measured
    group by project, environment, node_id

)

select * from final
