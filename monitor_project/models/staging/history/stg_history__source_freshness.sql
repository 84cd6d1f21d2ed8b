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
        {{ bounded('age_seconds', 'seconds') }} as age_seconds,
        {{ bounded('warn_after_seconds', 'threshold') }} as warn_after_seconds,
        {{ bounded('error_after_seconds', 'threshold') }} as error_after_seconds,
        filter,
        {{ bounded('execution_seconds', 'duration') }} as execution_seconds,
        run_date
    from source

)

select * from final
