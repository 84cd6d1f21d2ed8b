-- Builds that may still fail within the last slo_days. Builds are jobs: the commands that belong together count once, and a failure from
-- which a retry recovered is none. Empty builds and builds with an unknown status do not count.
with

builds as (

    select * from {{ ref('fct_jobs') }}
    where
        job_status in ('success', 'failure', 'interrupted', 'did not start')
        and ended_at > {{ dbt.dateadd('day', '-' ~ var('slo_days'), as_of()) }}

),

counted as (

    select
        project,
        environment,
        count(*) as build_count,
        sum(case when job_status = 'success' then 0 else 1 end) as failed_build_count
    from builds
    group by project, environment

),

final as (

    select
        project,
        environment,
        cast({{ var('build_slo_rate') }} as double) as target_rate,
        build_count,
        cast(failed_build_count as bigint) as failed_build_count,
        1 - cast(failed_build_count as double) / build_count as success_rate,
        build_count * (1 - cast({{ var('build_slo_rate') }} as double)) as allowed_failure_count,
        build_count * (1 - cast({{ var('build_slo_rate') }} as double)) - failed_build_count as budget_left_count
    from counted

)

select * from final
