-- dbt leaves a source whose freshness query failed out of sources.json, so the sources configured in the newest manifest are compared with
-- those that were checked.
with

configured as (

    select
        project,
        environment,
        node_id,
        node_name,
        owner,
        path
    from {{ ref('dim_nodes') }}
    where
        resource_type = 'source'
        and has_freshness

),

commands as (

    select
        project,
        environment,
        invocation_id,
        ended_at,
        row_number() over (
            partition by project, environment
            order by ended_at desc, invocation_id desc
        ) as newest_number,
        min(ended_at) over (partition by project, environment) as first_command_at
    from {{ ref('fct_invocations') }}
    where command = 'freshness'

),

newest_commands as (

    select * from commands
    where newest_number = 1

),

checks as (

    select
        project,
        environment,
        node_id,
        max(observed_at) as last_checked_at,
        max(generated_at) as last_generated_at
    from {{ ref('fct_source_freshness') }}
    where freshness_status != 'runtime error'
    group by project, environment, node_id

),

final as (

    select
        configured.project,
        configured.environment,
        configured.node_id,
        configured.node_name,
        configured.owner,
        configured.path,
        checks.last_checked_at,
        newest_commands.ended_at as last_command_at,
        newest_commands.first_command_at,
        case
            when newest_commands.invocation_id is null then 'never run'
            when checks.node_id is null then 'never checked'
            when checks.last_generated_at < newest_commands.ended_at then 'vanished'
            else 'checked'
        end as coverage_status
    from configured
    left join newest_commands
        on
            configured.project = newest_commands.project
            and configured.environment = newest_commands.environment
    left join checks
        on
            configured.project = checks.project
            and configured.environment = checks.environment
            and configured.node_id = checks.node_id

)

select * from final
