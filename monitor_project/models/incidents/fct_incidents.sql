-- Consecutive bad observations of a signal form one incident (gaps and islands). The next observation that is not bad ends it: false
-- (good again) resolves it, null (removed) closes it. An incident also ends close_after_days after its last observation ceased to hold; a bad
-- observation after that opens another one. An incident without an end is closed if its node was removed, else it is open.
with

watched as materialized (

    select
        *,
        row_number() over () as observation_id
    from {{ ref('int_signals_unioned') }}
    where
        environment in ({{ text_list(alerting_environments()) }})
        and observed_at <= {{ as_of() }}

),

bad_signals as (

    select distinct signal_key
    from watched
    where is_bad

),

-- Of two observations at one instant, the bad one comes first. Only the columns that decide are sorted. An island is identified by the number
-- of ends and of gaps before it.
sequenced as (

    select
        watched.observation_id,
        watched.signal_key,
        watched.invocation_id,
        watched.observed_at,
        greatest(watched.observed_at, watched.holds_until) as held_until,
        watched.is_bad,
        watched.kind not in ({{ text_list(var('clock_signal_kinds')) }}) as ends_unobserved,
        row_number() over observations as observation_number,
        sum(case when watched.is_bad then 0 else 1 end) over (observations rows between unbounded preceding and current row) as island_number,
        max(greatest(watched.observed_at, watched.holds_until))
            over (observations rows between unbounded preceding and 1 preceding)
            as previous_held_until
    from watched
    inner join bad_signals
        on watched.signal_key = bad_signals.signal_key
    window observations as (
        partition by watched.signal_key
        order by watched.observed_at, case when watched.is_bad then 0 else 1 end, watched.invocation_id
    )

),

-- The few observations that come long after the one before.
gaps as (

    select
        signal_key,
        row_number() over observations as gap_number,
        observation_number as from_number,
        -- After the last one, no observation has this number.
        lead(observation_number, 1, 1000000000000) over observations as to_number
    from sequenced
    where
        ends_unobserved
        and observed_at > {{ dbt.dateadd('day', var('close_after_days'), 'previous_held_until') }}
    window observations as (partition by signal_key order by observation_number)

),

numbered as (

    select
        sequenced.*,
        coalesce(gaps.gap_number, 0) as gap_number
    from sequenced
    left join gaps
        on
            sequenced.signal_key = gaps.signal_key
            and sequenced.observation_number >= gaps.from_number
            and sequenced.observation_number < gaps.to_number

),

bad as (

    select
        signal_key,
        island_number,
        gap_number,
        min(observation_number) as first_number,
        max(observation_number) as last_number,
        min(observed_at) as started_at,
        max(observed_at) as last_bad_at,
        max(held_until) as last_held_at,
        count(*) as bad_count
    from numbered
    where is_bad
    group by signal_key, island_number, gap_number

),

-- Title, detail and severity come from the latest bad observation.
islands as (

    select
        watched.*,
        bad.island_number,
        bad.gap_number,
        bad.started_at,
        bad.last_bad_at,
        bad.last_held_at,
        first_observations.invocation_id as first_bad_invocation_id,
        bad.bad_count
    from bad
    inner join numbered as first_observations
        on
            bad.signal_key = first_observations.signal_key
            and bad.first_number = first_observations.observation_number
    inner join numbered as last_observations
        on
            bad.signal_key = last_observations.signal_key
            and bad.last_number = last_observations.observation_number
    inner join watched
        on last_observations.observation_id = watched.observation_id

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

lifetimes as (

    select * from {{ ref('int_node_lifetimes') }}

),

-- Nodes whose stable key has another id since they are gone: tests whose arguments changed. Two tests that stood beside each other are not one.
successors as (

    select distinct
        nodes.project,
        nodes.environment,
        node_history.unique_id as node_id
    from node_history
    inner join nodes
        on
            node_history.project = nodes.project
            and node_history.stable_key = nodes.stable_key
            and node_history.unique_id != nodes.node_id
    inner join lifetimes as former
        on
            nodes.project = former.project
            and nodes.environment = former.environment
            and node_history.unique_id = former.node_id
    inner join lifetimes as later
        on
            nodes.project = later.project
            and nodes.environment = later.environment
            and nodes.node_id = later.node_id
            and former.gone_at = later.first_seen_at

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
        greatest(coalesce(lifetimes.gone_at, manifests.manifest_at), islands.last_bad_at) as gone_at,
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
    left join lifetimes
        on
            islands.project = lifetimes.project
            and islands.environment = lifetimes.environment
            and islands.node_id = lifetimes.node_id
    left join successors
        on
            islands.project = successors.project
            and islands.environment = successors.environment
            and islands.node_id = successors.node_id

),

-- What came first stays the reason: a node that is removed later does not change an incident that had been closed as unobserved.
ended as (

    select
        *,
        case
            when next_observed_at is not null and not next_is_bad then 'resolved'
            when next_observed_at is not null and kind = 'deadline_at_risk' then 'passed'
            when next_observed_at is not null then 'removed'
            when is_unobserved and (not is_node_gone or unobserved_at <= gone_at) then 'unobserved'
            when is_node_gone and has_successor then 'replaced'
            when is_node_gone then 'removed'
            else 'open'
        end as outcome
    from (
        select
            *,
            unobserved_at <= {{ as_of() }} and kind not in ({{ text_list(var('clock_signal_kinds')) }}) as is_unobserved
        from judged
    ) as observed

),

final as (

    select
        {{ surrogate_key(['signal_key', 'started_at']) }} as incident_id,
        signal_key,
        kind,
        project,
        environment,
        case when outcome in ('open', 'resolved') then outcome else 'closed' end as incident_status,
        case when outcome not in ('open', 'resolved') then outcome end as closed_reason,
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
        case
            when outcome = 'open' then null
            when outcome = 'unobserved' then unobserved_at
            else coalesce(next_observed_at, gone_at)
        end as ended_at,
        case
            when outcome = 'resolved'
                then {{ dbt.datediff('started_at', 'next_observed_at', 'second') }}
        end as recovery_seconds,
        bad_count
    from ended

)

select * from final
