with

source as (

    select *
    from {{ without_copies(
        source('history', 'exposures'),
        ['node_hash'],
        within_run_date=false
    ) }} as copies

),

final as (

    select
        node_hash,
        project,
        unique_id,
        name,
        exposure_type,
        owner_name,
        owner_email,
        maturity,
        url,
        run_date
    from source

)

select * from final
