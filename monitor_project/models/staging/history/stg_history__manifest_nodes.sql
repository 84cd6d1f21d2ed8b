with

source as (

    select *
    from {{ without_copies(
        source('history', 'manifest_nodes'),
        ['manifest_hash', 'unique_id'],
        within_run_date=false
    ) }} as copies

),

final as (

    select
        manifest_hash,
        project,
        unique_id,
        node_hash,
        run_date
    from source

)

select * from final
