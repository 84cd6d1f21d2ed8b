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
        end as manifest_at
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
        row_number() over (
            partition by project, environment
            order by coalesce(manifest_at, generated_at) desc, generated_at desc, invocation_id desc
        ) as newest_number
    from dated

),

newest as (

    select * from numbered
    where newest_number = 1

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
    inner join manifest_nodes
        on newest.manifest_hash = manifest_nodes.manifest_hash
    inner join nodes
        on manifest_nodes.node_hash = nodes.node_hash

)

select * from final
