-- Consecutive bad observations of a signal form one incident (gaps and islands). The next observation that is not bad ends it: false
-- (good again) resolves it, null (removed) closes it. An incident also ends close_after_days after its last observation ceased to hold; a bad
-- observation after that opens another one. An incident without an end is closed if its node was removed, else it is open.
with

watched as (

    select *
    from {{ ref('int_signals_unioned') }}
    where
        environment in ({{ text_list(alerting_environments()) }})
        and observed_at <= {{ as_of() }}

),

-- Of two observations at one instant, the bad one comes first.
sequenced as (

    select
        *,
        lag(greatest(observed_at, holds_until)) over (
            partition by signal_key
            order by observed_at, case when is_bad then 0 else 1 end, invocation_id
        ) as previous_held_until
    from watched

),

gapped as (

    select
        *,
        case
            when
                kind not in ({{ text_list(var('clock_signal_kinds')) }})
                and observed_at > {{ dbt.dateadd('day', var('close_after_days'), 'previous_held_until') }}
                then 1
            else 0
        end as is_after_gap
    from sequenced

),

-- An island is identified by the number of ends and of gaps before it.
numbered as (

    select
        *,
        sum(is_after_gap) over (
            partition by signal_key
            order by observed_at, case when is_bad then 0 else 1 end, invocation_id
            rows between unbounded preceding and current row
        ) as gap_number,
        sum(case when is_bad then 0 else 1 end) over (
            partition by signal_key
            order by observed_at, case when is_bad then 0 else 1 end, invocation_id
            rows between unbounded preceding and current row
        ) as island_number,
        row_number() over (
            partition by signal_key
            order by observed_at, case when is_bad then 0 else 1 end, invocation_id
        ) as observation_number
    from gapped

),

bad as (

    select
        *,
        row_number() over (
            partition by signal_key, island_number, gap_number
            order by observation_number desc
        ) as latest_number,
        min(observed_at) over (partition by signal_key, island_number, gap_number) as started_at,
        max(observed_at) over (partition by signal_key, island_number, gap_number) as last_bad_at,
        max(greatest(observed_at, holds_until)) over (partition by signal_key, island_number, gap_number) as last_held_at,
        first_value(invocation_id) over (
            partition by signal_key, island_number, gap_number
            order by observation_number
        ) as first_bad_invocation_id,
        count(*) over (partition by signal_key, island_number, gap_number) as bad_count
    from numbered
    where is_bad

),

-- Title, detail and severity come from the latest bad observation.
islands as (

    select * from bad
    where latest_number = 1

),

ends as (

    select
        signal_key,
        island_number,
        gap_number,
        observed_at,
        is_bad
    from numbered
    where is_bad is null or not is_bad

),

nodes as (

    select * from {{ ref('dim_nodes') }}

),

manifests as (

    select
        project,
        environment,
        max(as_of_manifest_at) as manifest_at
    from nodes
    group by project, environment

),

node_history as (

    select
        project,
        unique_id,
        max(stable_key) as stable_key
    from {{ ref('stg_history__nodes') }}
    group by project, unique_id

),

-- Nodes whose stable key now has another id: tests whose arguments changed. Two tests that were in one manifest stood beside each other.
renamed as (

    select distinct
        nodes.project,
        nodes.environment,
        node_history.unique_id as node_id,
        nodes.node_id as successor_id
    from node_history
    inner join nodes
        on
            node_history.project = nodes.project
            and node_history.stable_key = nodes.stable_key
            and node_history.unique_id != nodes.node_id
    where node_history.unique_id in (select node_id from islands)

),

beside as (

    select distinct
        renamed.project,
        renamed.environment,
        renamed.node_id,
        renamed.successor_id
    from renamed
    inner join {{ ref('stg_history__manifest_nodes') }} as held
        on
            renamed.project = held.project
            and renamed.node_id = held.unique_id
    inner join {{ ref('stg_history__manifest_nodes') }} as held_beside
        on
            held.manifest_hash = held_beside.manifest_hash
            and renamed.successor_id = held_beside.unique_id

),

successors as (

    select distinct
        renamed.project,
        renamed.environment,
        renamed.node_id
    from renamed
    left join beside
        on
            renamed.project = beside.project
            and renamed.environment = beside.environment
            and renamed.node_id = beside.node_id
            and renamed.successor_id = beside.successor_id
    where beside.node_id is null

),

judged as (

    select
        islands.*,
        ends.observed_at as next_observed_at,
        ends.is_bad as next_is_bad,
        manifests.manifest_at,
        -- Not in the newest manifest, and that is newer than the last bad observation.
        islands.node_id is not null
        and nodes.node_id is null
        and manifests.manifest_at > islands.last_bad_at as is_node_gone,
        successors.node_id is not null as has_successor,
        {{ dbt.dateadd('day', var('close_after_days'), 'islands.last_held_at') }} as unobserved_at
    from islands
    left join ends
        on
            islands.signal_key = ends.signal_key
            and islands.island_number + 1 = ends.island_number
            and islands.gap_number = ends.gap_number
    left join nodes
        on
            islands.project = nodes.project
            and islands.environment = nodes.environment
            and islands.node_id = nodes.node_id
    left join manifests
        on
            islands.project = manifests.project
            and islands.environment = manifests.environment
    left join successors
        on
            islands.project = successors.project
            and islands.environment = successors.environment
            and islands.node_id = successors.node_id

),

ended as (

    select
        *,
        case
            when next_observed_at is not null and not next_is_bad then 'resolved'
            when next_observed_at is not null or is_node_gone then 'closed'
            when
                unobserved_at <= {{ as_of() }}
                and kind not in ({{ text_list(var('clock_signal_kinds')) }})
                then 'closed'
            else 'open'
        end as incident_status
    from judged

),

final as (

    select
        {{ surrogate_key(['signal_key', 'started_at']) }} as incident_id,
        signal_key,
        kind,
        project,
        environment,
        incident_status,
        case
            when incident_status = 'closed' and next_observed_at is not null then 'removed'
            when incident_status = 'closed' and is_node_gone and has_successor then 'replaced'
            when incident_status = 'closed' and is_node_gone then 'removed'
            when incident_status = 'closed' then 'unobserved'
        end as closed_reason,
        severity,
        title,
        detail,
        node_id,
        owner,
        evidence,
        first_bad_invocation_id,
        invocation_id as last_bad_invocation_id,
        started_at,
        last_bad_at,
        case incident_status
            when 'open' then null
            when 'resolved' then next_observed_at
            else coalesce(next_observed_at, case when is_node_gone then manifest_at else unobserved_at end)
        end as ended_at,
        case
            when incident_status = 'resolved'
                then {{ dbt.datediff('started_at', 'next_observed_at', 'second') }}
        end as recovery_seconds,
        bad_count
    from ended

)

select * from final
