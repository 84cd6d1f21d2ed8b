with

source as (

    select *
    from {{ without_copies(
        source('history', 'monitor_runs'),
        ['monitor_run_id']
    ) }} as copies

),

final as (

    select
        monitor_run_id,
        as_of,
        started_at,
        ended_at,
        exit_code,
        offdag_version,
        seeds,
        run_date
    from source

)

select * from final
