-- Versions of each node with their validity. Content that comes back (A, B, A) has two rows.
with

commands as (

    select * from {{ ref('stg_history__invocations') }}
    where
        manifest_hash is not null
        and generated_at <= {{ as_of() }}

),

-- Only commands whose manifest differs from the previous command's start a period.
sequenced as (

    select
        *,
        lag(manifest_hash) over (
            partition by project, environment
            order by generated_at, invocation_id
        ) as prior_manifest_hash
    from commands

),

manifests as (

    select
        project,
        environment,
        manifest_hash,
        invocation_id,
        generated_at as began_at,
        row_number() over (
            partition by project, environment
            order by generated_at, invocation_id
        ) as manifest_number
    from sequenced
    where
        prior_manifest_hash is null
        or prior_manifest_hash != manifest_hash

),

nodes_by_manifest as (

    select
        manifests.project,
        manifests.environment,
        manifest_nodes.unique_id as node_id,
        manifest_nodes.node_hash,
        manifests.manifest_number,
        lag(manifests.manifest_number) over (
            partition by manifests.project, manifests.environment, manifest_nodes.unique_id, manifest_nodes.node_hash
            order by manifests.manifest_number
        ) as prior_manifest_number
    from manifests
    inner join {{ ref('stg_history__manifest_nodes') }} as manifest_nodes
        on manifests.manifest_hash = manifest_nodes.manifest_hash

),

islands as (

    select
        *,
        sum(case when prior_manifest_number = manifest_number - 1 then 0 else 1 end) over (
            partition by project, environment, node_id, node_hash
            order by manifest_number
            rows between unbounded preceding and current row
        ) as island_number
    from nodes_by_manifest

),

periods as (

    select
        project,
        environment,
        node_id,
        node_hash,
        island_number,
        min(manifest_number) as first_manifest_number,
        max(manifest_number) as last_manifest_number
    from islands
    group by project, environment, node_id, node_hash, island_number

),

final as (

    select
        {{ surrogate_key(['periods.project', 'periods.environment', 'periods.node_id', 'first_manifests.began_at']) }} as node_history_id,
        periods.project,
        periods.environment,
        periods.node_id,
        periods.node_hash,
        nodes.code_hash,
        nodes.resource_type,
        nodes.materialization,
        nodes.owner,
        nodes.columns,
        nodes.has_contract,
        first_manifests.invocation_id as first_invocation_id,
        first_manifests.began_at as valid_from_at,
        next_manifests.began_at as valid_to_at,
        next_manifests.began_at is null as is_current
    from periods
    inner join {{ ref('stg_history__nodes') }} as nodes
        on periods.node_hash = nodes.node_hash
    inner join manifests as first_manifests
        on
            periods.project = first_manifests.project
            and periods.environment = first_manifests.environment
            and periods.first_manifest_number = first_manifests.manifest_number
    left join manifests as next_manifests
        on
            periods.project = next_manifests.project
            and periods.environment = next_manifests.environment
            and periods.last_manifest_number + 1 = next_manifests.manifest_number

)

select * from final
