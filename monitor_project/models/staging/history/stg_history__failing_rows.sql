with

source as (

    select *
    from {{ without_copies(
        source('history', 'failing_rows'),
        ['project', 'environment', 'invocation_id', 'unique_id', 'row_number', 'column_name']
    ) }} as copies

),

final as (

    select
        project,
        environment,
        invocation_id,
        generated_at,
        unique_id,
        row_number,
        column_name,
        value,
        run_date
    from source

)

select * from final
