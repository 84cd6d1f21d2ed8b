-- What changed between the last success of an incident's node and its first bad observation: code, configuration, macros or existence of
-- the node, of the node that it tests, and of every node upstream. The compared manifests are those of the two runs; the lineage is that of
-- the newest manifest. Only for incidents that can still be announced.
with recursive

incidents as (

    select * from {{ ref('fct_incidents') }}
    where
        node_id is not null
        and last_bad_at >= {{ dbt.dateadd('day', '-' ~ var('announce_max_age_days'), as_of()) }}

),

-- A success before a failure is among the turning executions.
success_times as (

    select
        incidents.incident_id,
        incidents.project,
        incidents.environment,
        incidents.node_id,
        incidents.first_bad_invocation_id,
        max(executions.observed_at) as last_success_at
    from incidents
    inner join {{ ref('int_turning_executions') }} as executions
        on
            incidents.project = executions.project
            and incidents.environment = executions.environment
            and incidents.node_id = executions.node_id
            and incidents.started_at > executions.observed_at
    where executions.outcome = 'success'
    group by
        incidents.incident_id, incidents.project, incidents.environment, incidents.node_id, incidents.first_bad_invocation_id

),

successes as (

    select
        success_times.incident_id,
        success_times.project,
        success_times.environment,
        success_times.node_id,
        success_times.first_bad_invocation_id,
        max(executions.invocation_id) as last_success_run_id
    from success_times
    inner join {{ ref('int_turning_executions') }} as executions
        on
            success_times.project = executions.project
            and success_times.environment = executions.environment
            and success_times.node_id = executions.node_id
            and success_times.last_success_at = executions.observed_at
    where executions.outcome = 'success'
    group by
        success_times.incident_id,
        success_times.project,
        success_times.environment,
        success_times.node_id,
        success_times.first_bad_invocation_id

),

manifests as (

    select
        project,
        environment,
        invocation_id,
        manifest_hash
    from {{ ref('stg_history__invocations') }}
    where manifest_hash is not null

),

compared as (

    select
        successes.incident_id,
        successes.project,
        successes.environment,
        successes.node_id,
        successes.last_success_run_id,
        good.manifest_hash as good_hash,
        bad.manifest_hash as bad_hash
    from successes
    inner join manifests as good
        on
            successes.project = good.project
            and successes.environment = good.environment
            and successes.last_success_run_id = good.invocation_id
    inner join manifests as bad
        on
            successes.project = bad.project
            and successes.environment = bad.environment
            and successes.first_bad_invocation_id = bad.invocation_id

),

pairs as (

    select distinct
        good_hash,
        bad_hash
    from compared
    where good_hash != bad_hash

),

contents as (

    select
        listed.manifest_hash,
        listed.unique_id as node_id,
        listed.node_hash,
        nodes.name as node_name,
        nodes.code_hash,
        nodes.config_hash,
        nodes.macros_hash
    from (
        select good_hash as manifest_hash from pairs
        union
        select bad_hash as manifest_hash from pairs
    ) as both_manifests
    inner join {{ ref('stg_history__manifest_nodes') }} as listed
        on both_manifests.manifest_hash = listed.manifest_hash
    left join {{ ref('stg_history__nodes') }} as nodes
        on listed.node_hash = nodes.node_hash

),

-- A hash of the configuration is null for manifests collected by a version of offdag that did not compute it: nothing is concluded then.
changed as (

    select
        pairs.good_hash,
        pairs.bad_hash,
        bad.node_id,
        bad.node_name,
        case
            when good.node_id is null then 'new'
            when bad.code_hash != good.code_hash then 'code'
            when bad.config_hash != good.config_hash then 'configuration'
            when
                bad.config_hash is not null
                and good.config_hash is not null
                and coalesce(bad.macros_hash, '') != coalesce(good.macros_hash, '')
                then 'macros'
        end as what
    from pairs
    inner join contents as bad
        on pairs.bad_hash = bad.manifest_hash
    left join contents as good
        on
            pairs.good_hash = good.manifest_hash
            and bad.node_id = good.node_id
    where
        bad.node_name is not null
        and (good.node_id is null or bad.node_hash != good.node_hash)

),

edges as (

    select * from {{ ref('fct_lineage_edges') }}

),

-- union, not union all: each node is reached once, over any number of paths.
upstream as (

    select
        incident_id,
        project,
        environment,
        node_id
    from compared
    where good_hash != bad_hash

    union

    select
        upstream.incident_id,
        upstream.project,
        upstream.environment,
        edges.parent_id as node_id
    from upstream
    inner join edges
        on
            upstream.project = edges.project
            and upstream.environment = edges.environment
            and upstream.node_id = edges.child_id

),

named as (

    select
        compared.incident_id,
        case
            when changed.what = 'new' then 'new node ' || changed.node_name
            when changed.node_id = compared.node_id then 'its own ' || changed.what
            else changed.what || ' of ' || changed.node_name
        end as change,
        row_number() over (
            partition by compared.incident_id
            order by case when changed.node_id = compared.node_id then 0 else 1 end, changed.node_name, changed.node_id
        ) as change_number
    from compared
    inner join upstream
        on compared.incident_id = upstream.incident_id
    inner join changed
        on
            compared.good_hash = changed.good_hash
            and compared.bad_hash = changed.bad_hash
            and upstream.node_id = changed.node_id
    where changed.what is not null

),

summarized as (

    select
        incident_id,
        count(*) as change_count,
        {{ dbt.listagg("case when change_number <= 4 then change end", "', '", "order by change_number") }}
        || case when count(*) > 4 then ' and ' || cast(count(*) - 4 as {{ dbt.type_string() }}) || ' more' else '' end as changes
    from named
    group by incident_id

),

-- Whether the configuration of its node is known on both sides, or all is the same manifest.
known as (

    select
        compared.incident_id,
        compared.good_hash = compared.bad_hash
        or (good.config_hash is not null and bad.config_hash is not null) as is_known
    from compared
    left join contents as good
        on
            compared.good_hash = good.manifest_hash
            and compared.node_id = good.node_id
    left join contents as bad
        on
            compared.bad_hash = bad.manifest_hash
            and compared.node_id = bad.node_id

),

invocations as (

    select * from {{ ref('fct_invocations') }}

),

final as (

    select
        compared.incident_id,
        compared.project,
        compared.environment,
        compared.last_success_run_id,
        invocations.git_sha as last_success_git_sha,
        cast(case when known.is_known then coalesce(summarized.change_count, 0) else summarized.change_count end as bigint) as change_count,
        summarized.changes
    from compared
    inner join known
        on compared.incident_id = known.incident_id
    left join summarized
        on compared.incident_id = summarized.incident_id
    left join invocations
        on
            compared.project = invocations.project
            and compared.environment = invocations.environment
            and compared.last_success_run_id = invocations.run_id

)

select * from final
