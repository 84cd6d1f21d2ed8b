with

source as (

    select *
    from {{ without_copies(
        source('history', 'node_results'),
        ['project', 'environment', 'invocation_id', 'unique_id']
    ) }} as copies

),

final as (

    select
        project,
        environment,
        invocation_id,
        generated_at,
        is_build,
        unique_id,
        resource_type,
        status,
        message,
        failures,
        execution_seconds,
        started_at,
        execute_started_at,
        completed_at,
        thread_id,
        rows_affected,
        bytes_processed,
        query_id,
        adapter_response,
        relation_name,
        slot_milliseconds,
        run_date
    from source

)

select * from final
