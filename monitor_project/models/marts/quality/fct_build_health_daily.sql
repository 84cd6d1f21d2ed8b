-- Builds are jobs: the commands that belong together count once.
with

builds as (

    select
        project,
        environment,
        cast(ended_at as date) as build_date,
        count(*) as build_count,
        sum(case when job_status = 'success' then 1 else 0 end) as success_count,
        sum(case when job_status = 'failure' then 1 else 0 end) as failure_count,
        sum(case when job_status in ('interrupted', 'did not start') then 1 else 0 end) as incomplete_count,
        sum(case when job_status in ('empty', 'unknown') then 1 else 0 end) as unjudged_count
    from {{ ref('fct_jobs') }}
    group by project, environment, cast(ended_at as date)

),

results as (

    select
        project,
        environment,
        run_date as build_date,
        sum(test_pass_count) as test_pass_count,
        sum(test_warn_count) as test_warn_count,
        sum(test_fail_count) as test_fail_count,
        sum(skipped_count) as skipped_count
    from {{ ref('int_result_counts') }}
    where
        is_build
        and {{ until_as_of('generated_at') }}
    group by project, environment, run_date

),

final as (

    select
        builds.project,
        builds.environment,
        builds.build_date,
        cast(builds.build_count as bigint) as build_count,
        cast(builds.success_count as bigint) as success_count,
        cast(builds.failure_count as bigint) as failure_count,
        cast(builds.incomplete_count as bigint) as incomplete_count,
        cast(builds.unjudged_count as bigint) as unjudged_count,
        cast(builds.success_count as double)
        / nullif(builds.success_count + builds.failure_count + builds.incomplete_count, 0) as build_success_rate,
        cast(coalesce(results.test_pass_count, 0) as bigint) as test_pass_count,
        cast(coalesce(results.test_warn_count, 0) as bigint) as test_warn_count,
        cast(coalesce(results.test_fail_count, 0) as bigint) as test_fail_count,
        cast(results.test_pass_count as double)
        / nullif(results.test_pass_count + results.test_warn_count + results.test_fail_count, 0) as test_pass_rate,
        cast(coalesce(results.skipped_count, 0) as bigint) as skipped_count
    from builds
    left join results
        on
            builds.project = results.project
            and builds.environment = results.environment
            and builds.build_date = results.build_date

)

select * from final
