-- Time to alert and time to recover, by kind and owner. Closed incidents have no time to recover, since they did not recover.
with

incidents as (

    select
        *,
        row_number() over (
            partition by signal_key
            order by started_at
        ) as incident_number
    from {{ ref('fct_incidents') }}

),

first_messages as (

    select
        signal_key,
        incident_started_at,
        min(delivered_at) as first_sent_at
    from {{ ref('stg_history__deliveries') }}
    where
        event = 'opened'
        and outcome = 'delivered'
    group by signal_key, incident_started_at

),

timed as (

    select
        incidents.*,
        {{ seconds_between('incidents.started_at', 'first_messages.first_sent_at') }} as detection_seconds
    from incidents
    left join first_messages
        on
            incidents.signal_key = first_messages.signal_key
            and incidents.started_at = first_messages.incident_started_at

),

final as (

    select
        project,
        environment,
        kind,
        coalesce(owner, 'nobody') as owner,
        count(*) as incident_count,
        cast(sum(case when incident_status = 'open' then 1 else 0 end) as bigint) as open_count,
        cast(sum(case when incident_status = 'resolved' then 1 else 0 end) as bigint) as resolved_count,
        cast(sum(case when incident_status = 'closed' then 1 else 0 end) as bigint) as closed_count,
        cast(sum(case when incident_number > 1 then 1 else 0 end) as bigint) as reopened_count,
        cast(avg(detection_seconds) as double) as mean_detection_seconds,
        cast(avg(recovery_seconds) as double) as mean_recovery_seconds,
        cast(max(recovery_seconds) as double) as longest_recovery_seconds
    from timed
    group by project, environment, kind, coalesce(owner, 'nobody')

)

select * from final
