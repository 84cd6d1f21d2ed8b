-- Who was alerted of the incidents that the report shows, and when. As for what is due, the periods overlap.
with

incidents as (

    select
        incident_id,
        signal_key,
        started_at,
        last_bad_at
    from {{ ref('report_incidents') }}

),

deliveries as (

    select * from {{ ref('stg_history__deliveries') }}

),

final as (

    select
        incidents.incident_id,
        deliveries.notification_id,
        deliveries.envelope_id,
        deliveries.event,
        deliveries.sink,
        deliveries.channel,
        deliveries.outcome,
        deliveries.reason,
        deliveries.delivered_at
    from deliveries
    inner join incidents
        on
            deliveries.signal_key = incidents.signal_key
            and deliveries.incident_started_at <= incidents.last_bad_at
            and deliveries.incident_last_bad_at >= incidents.started_at

)

select * from final
