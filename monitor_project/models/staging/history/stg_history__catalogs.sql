with

source as (

    select *
    from {{ without_copies(
        source('history', 'catalogs'),
        ['project', 'environment', 'invocation_id'],
        within_run_date=false
    ) }} as copies

),

final as (

    select
        project,
        environment,
        invocation_id,
        generated_at,
        catalog_hash,
        run_date
    from source

)

select * from final
