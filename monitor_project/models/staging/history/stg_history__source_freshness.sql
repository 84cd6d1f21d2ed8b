with

source as (

    select *
    from {{ without_copies(
        source('history', 'source_freshness'),
        ['project', 'environment', 'invocation_id', 'unique_id']
    ) }} as copies

),

final as (

    select
        project,
        environment,
        invocation_id,
        generated_at,
        unique_id,
        status,
        message,
        max_loaded_at,
        checked_at,
        age_seconds,
        warn_after_seconds,
        error_after_seconds,
        filter,
        execution_seconds,
        run_date
    from source

)

select * from final
