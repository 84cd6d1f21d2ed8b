with

source as (

    select *
    from {{ without_copies(
        source('history', 'acknowledgements'),
        ['acknowledgement_id']
    ) }} as copies

),

final as (

    select
        acknowledgement_id,
        project,
        environment,
        signal_key,
        incident_started_at,
        incident_last_bad_at,
        acknowledged_at,
        acknowledged_by,
        note,
        acknowledged_until,
        resolution,
        run_date
    from source

)

select * from final
