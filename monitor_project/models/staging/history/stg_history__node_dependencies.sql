with

source as (

    select *
    from {{ without_copies(
        source('history', 'node_dependencies'),
        ['node_hash', 'parent_unique_id'],
        within_run_date=false
    ) }} as copies

),

final as (

    select
        node_hash,
        project,
        unique_id,
        parent_unique_id,
        run_date
    from source

)

select * from final
