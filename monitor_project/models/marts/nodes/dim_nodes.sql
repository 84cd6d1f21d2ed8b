-- Nodes of the newest manifest, and those that only another job's newest manifest has: jobs of one project may have other nodes, by variables
-- or branches. A job is a command, selection and variables that ran at least twice, the last time within close_after_days; commands whose
-- variables are other ones each time, such as a date, are one job. A retry belongs to the build that it completes.
with

invocations as (

    select * from {{ ref('stg_history__invocations') }}

),

manifest_nodes as (

    select * from {{ ref('stg_history__manifest_nodes') }}

),

nodes as (

    select * from {{ ref('stg_history__nodes') }}

),

-- A command's results are often collected beside the manifest of an earlier one: its age is its own.
dated as (

    select
        *,
        case
            when manifest_invocation_id = invocation_id then generated_at
            else manifest_generated_at
        end as manifest_at,
        case
            when count(*) over (partition by project, environment, command, selection, variables_hash, is_retry) > 1
                then coalesce(variables_hash, 'none')
        end as job_variables
    from invocations
    where
        manifest_hash is not null
        and generated_at <= {{ as_of() }}

),

-- The newest manifest lists all nodes of the project, whatever the command selected.
numbered as (

    select
        project,
        environment,
        manifest_hash,
        manifest_at,
        generated_at,
        coalesce(is_retry, false) as is_retry,
        row_number() over (
            partition by project, environment
            order by coalesce(manifest_at, generated_at) desc, generated_at desc, invocation_id desc
        ) as newest_number,
        row_number() over (
            partition by project, environment, command, selection, job_variables, is_retry
            order by coalesce(manifest_at, generated_at) desc, generated_at desc, invocation_id desc
        ) as newest_of_job_number,
        count(*) over (partition by project, environment, command, selection, job_variables, is_retry) as run_count
    from dated

),

newest as (

    select * from numbered
    where newest_number = 1

),

of_jobs as (

    select
        project,
        environment,
        manifest_hash,
        min(newest_number) as newest_number
    from numbered
    where
        newest_number = 1
        or (
            newest_of_job_number = 1
            and run_count >= 2
            and not is_retry
            and generated_at >= {{ dbt.dateadd('day', '-' ~ var('close_after_days'), as_of()) }}
        )
    group by project, environment, manifest_hash

),

listed as (

    select
        of_jobs.project,
        of_jobs.environment,
        manifest_nodes.unique_id,
        manifest_nodes.node_hash,
        row_number() over (
            partition by of_jobs.project, of_jobs.environment, manifest_nodes.unique_id
            order by of_jobs.newest_number, manifest_nodes.node_hash
        ) as newest_number
    from of_jobs
    inner join manifest_nodes
        on of_jobs.manifest_hash = manifest_nodes.manifest_hash

),

final as (

    select
        newest.project,
        newest.environment,
        nodes.unique_id as node_id,
        nodes.node_hash,
        nodes.name as node_name,
        nodes.resource_type,
        nodes.path,
        nodes.materialization,
        nodes.owner,
        nodes.package_name,
        nodes.tags,
        nodes.meta_alerts as alert_settings,
        nodes.test_name,
        nodes.column_name,
        nodes.attached_node_id,
        nodes.stable_key,
        nodes.has_freshness,
        nodes.code_hash,
        coalesce(nodes.description, '') != '' as has_description,
        newest.manifest_at as as_of_manifest_at
    from newest
    inner join listed
        on
            newest.project = listed.project
            and newest.environment = listed.environment
    inner join nodes
        on listed.node_hash = nodes.node_hash
    where listed.newest_number = 1

)

select * from final
