with

source as (

    select *
    from {{ without_copies(
        source('history', 'catalog_columns'),
        ['project', 'catalog_hash', 'unique_id', 'column_name'],
        within_run_date=false
    ) }} as copies

),

final as (

    select
        catalog_hash,
        project,
        unique_id,
        relation_type,
        column_name,
        data_type,
        position,
        run_date
    from source

)

select * from final
