with

source as (

    select *
    from {{ without_copies(
        source('history', 'artifact_verdicts'),
        ['collected_at', 'project', 'environment', 'path', 'kind', 'sha256']
    ) }} as copies

),

final as (

    select
        collected_at,
        project,
        environment,
        job_id,
        path,
        kind,
        verdict,
        reason,
        size_bytes,
        sha256,
        schema_version,
        dbt_version,
        invocation_id,
        tolerated_count,
        run_date
    from source

)

select * from final
