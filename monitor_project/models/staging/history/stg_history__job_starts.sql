with

source as (

    select *
    from {{ without_copies(
        source('history', 'job_starts'),
        ['job_run_id']
    ) }} as copies

),

final as (

    select
        job_run_id,
        job_id,
        coalesce(project, 'unknown') as project,
        environment,
        command,
        is_build,
        started_at,
        run_date
    from source

)

select * from final
