{{ config(materialized='view', contract={'enforced': false}) }}

with

source as (

    select *
    from {{ without_copies(
        source('history', 'observed_product_inventory_snapshot'),
        ['_project', '_environment', '_content_hash', 'product_id', 'dbt_valid_from']
    ) }} as copies

),

final as (

    select
        _project as project,
        _environment as environment,
        _content_hash as content_hash,
        _observed_at as observed_at,
        product_id,
        name as product_name,
        {{ bounded('inventory', 'amount') }} as inventory_count,
        dbt_valid_from,
        dbt_valid_to,
        run_date
    from source

)

select * from final
