-- Time to alert, to acknowledge and to recover, by kind and owner, and how many were false positives by what people gave with `offdag ack`. Closed incidents have no time to recover, since they did not recover.
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
        {{ seconds_between('incidents.started_at', 'first_messages.first_sent_at') }} as detection_seconds,
        contexts.resolution,
        contexts.first_acknowledged_at < coalesce(incidents.ended_at, {{ as_of() }}) as is_acknowledged,
        case
            when
                contexts.first_acknowledged_at >= first_messages.first_sent_at
                and contexts.first_acknowledged_at < coalesce(incidents.ended_at, {{ as_of() }})
                then {{ seconds_between('first_messages.first_sent_at', 'contexts.first_acknowledged_at') }}
        end as acknowledgement_seconds
    from incidents
    inner join {{ ref('fct_incident_context') }} as contexts
        on incidents.incident_id = contexts.incident_id
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
        cast(sum(case when is_acknowledged then 1 else 0 end) as bigint) as acknowledged_count,
        cast(avg(acknowledgement_seconds) as double) as mean_acknowledgement_seconds,
        count(resolution) as judged_count,
        cast(sum(case when resolution = 'false_positive' then 1 else 0 end) as bigint) as false_positive_count,
        cast(avg(recovery_seconds) as double) as mean_recovery_seconds,
        cast(max(recovery_seconds) as double) as longest_recovery_seconds
    from timed
    group by project, environment, kind, coalesce(owner, 'nobody')

)

select * from final
