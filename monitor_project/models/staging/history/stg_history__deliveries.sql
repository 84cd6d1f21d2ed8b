with

source as (

    select *
    from {{ without_copies(
        source('history', 'deliveries'),
        ['envelope_id', 'notification_id']
    ) }} as copies

),

final as (

    select
        envelope_id,
        notification_id,
        signal_key,
        event,
        severity,
        incident_started_at,
        incident_last_bad_at,
        sink,
        channel,
        outcome,
        reason,
        delivered_at,
        message_channel,
        message_ts,
        run_date
    from source

)

select * from final
