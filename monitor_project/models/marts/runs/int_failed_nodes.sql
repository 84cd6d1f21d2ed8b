-- What failed last and is still there. Its incident may have ended: as part of a mass failure, or since it was not observed again.
with

last_runs as (

    select
        project,
        environment,
        node_id,
        max(case when outcome = 'failure' then observed_at end) as last_failure_at,
        max(case when outcome != 'failure' then observed_at end) as last_other_at
    from {{ ref('int_turning_executions') }}
    where
        resource_type in ('model', 'snapshot', 'seed')
        and {{ until_as_of('observed_at') }}
    group by project, environment, node_id

),

final as (

    select
        last_runs.project,
        last_runs.environment,
        last_runs.node_id,
        last_runs.last_failure_at
    from last_runs
    inner join {{ ref('dim_nodes') }} as nodes
        on
            last_runs.project = nodes.project
            and last_runs.environment = nodes.environment
            and last_runs.node_id = nodes.node_id
    where
        last_runs.last_failure_at is not null
        and (last_runs.last_other_at is null or last_runs.last_failure_at > last_runs.last_other_at)

)

select * from final
