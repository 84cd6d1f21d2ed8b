with

invocations as (

    select * from {{ ref('fct_invocations') }}

),

summed as (

    select
        project,
        environment,
        min(ended_at) as first_run_at,
        max(ended_at) as last_run_at,
        max(case when is_build then ended_at end) as last_build_at,
        sum(case when is_build then 1 else 0 end) as build_count,
        max(case when newest_build_number = 1 then invocation_status end) as last_build_status,
        max(case when newest_build_number = 1 then run_id end) as last_build_run_id
    from invocations
    group by project, environment

),

final as (

    select
        project,
        environment,
        environment in ({{ text_list(alerting_environments()) }})
            as is_alerting,
        coalesce(last_build_at <= {{ dbt.dateadd('day', '-' ~ var('silent_after_days'), as_of()) }}, true) as is_silent,
        first_run_at,
        last_run_at,
        last_build_at,
        last_build_run_id,
        last_build_status,
        cast(build_count as bigint) as build_count
    from summed

)

select * from final
