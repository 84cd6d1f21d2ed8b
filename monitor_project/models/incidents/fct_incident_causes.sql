-- What probably caused an incident, the likeliest first: from the text of its error, from what changed upstream since its node's last success,
-- from incidents upstream that began with it, and from the sources on which it depends. Only for incidents that can still be announced.
with

judged as (

    select * from {{ ref('int_incident_errors') }}

),

matches as (

    select * from {{ ref('int_incident_words') }}

),

upstream as (

    select * from {{ ref('int_incident_upstream') }}

),

nodes as (

    select * from {{ ref('dim_nodes_ever') }}

),

successes as (

    select
        incident_id,
        max(last_success_at) as last_success_at
    from upstream
    group by incident_id

),

-- Incidents of other nodes upstream that began after the last success and not after this one.
above as (

    select distinct
        judged.incident_id,
        others.incident_id as upstream_incident_id
    from judged
    inner join upstream
        on judged.incident_id = upstream.incident_id
    inner join judged as others
        on
            upstream.project = others.project
            and upstream.environment = others.environment
            and upstream.node_id = others.place_id
            and judged.started_at >= others.started_at
    left join successes
        on judged.incident_id = successes.incident_id
    where
        judged.place_id != others.place_id
        and judged.incident_id != others.incident_id
        and others.started_at > coalesce(successes.last_success_at, {{ dbt.dateadd('day', -1, 'judged.started_at') }})

),

-- Two that are above each other, as tests of two tables against each other, explain nothing.
one_way as (

    select above.*
    from above
    left join above as opposite
        on
            above.incident_id = opposite.upstream_incident_id
            and above.upstream_incident_id = opposite.incident_id
    where opposite.incident_id is null

),

-- Those with none above themselves.
roots as (

    select above.*
    from one_way as above
    left join one_way as higher
        on above.upstream_incident_id = higher.incident_id
    where higher.incident_id is null

),

-- Each candidate has a weight: 100 for what the error itself says, 95 to 98 where the error names what changed, 90 and more for the cause of an
-- incident upstream, 70 to 80 for a change, 65 for one that caused another incident of the run, 60 for the likeliest source, 55 to 59 for an edit that
-- has nothing to do with the named words or only rewords, and below 57 for other sources.
of_errors as (

    select
        incident_id,
        error_class as cause_kind,
        node_id as cause_node_id,
        100.0 as weight
    from judged
    where error_class != 'query'

),

of_changes as (

    select
        judged.incident_id,
        case
            when upstream.change = 'removed' then 'removed_node'
            when upstream.change = 'new' then 'new_node'
            when upstream.resource_type = 'seed' and upstream.change != 'configuration' then 'seed'
            when upstream.resource_type in ('test', 'unit_test') then 'test'
            when upstream.change = 'macros' then 'macro'
            when upstream.change in ('configuration', 'variables') then 'configuration'
            else 'code'
        end as cause_kind,
        upstream.node_id as cause_node_id,
        case
            when judged.is_error and upstream.change = 'code' and matches.edit_count > 0 then 97
            when
                judged.is_error
                and position(' ' || lower(upstream.node_name) || ' ' in {{ words_in('judged.message') }}) > 0
                and (upstream.change = 'removed' or upstream.node_id != judged.node_id)
                then 98
            when judged.is_error and upstream.change = 'code' and upstream.changed_words is not null then 55
            when judged.is_error and upstream.node_id = judged.node_id then 95
            when upstream.is_rewording then 58
            when
                upstream.change = 'code'
                and upstream.changed_words is not null
                and coalesce(matches.match_count, 0) = 0
                and not {{ has_any_word('upstream.changed_words', [
                    'join', 'where', 'and', 'or', 'group', 'distinct', 'union', 'limit', 'having', 'qualify', 'partition', 'inner', 'left',
                    'cross', 'exists', 'except', 'intersect'
                ]) }}
                then 59
            when upstream.node_id in (judged.node_id, judged.place_id) then 80
            else 70
        end as weight
    from judged
    inner join upstream
        on judged.incident_id = upstream.incident_id
    left join matches
        on
            upstream.incident_id = matches.incident_id
            and upstream.node_id = matches.node_id
    where upstream.change != 'formatting'

),

-- The error of a build that did not start names the node.
of_starts as (

    select
        judged.incident_id,
        case
            when position('was not found' in judged.message) > 0 then 'removed_node'
            when position('disabled' in judged.message) > 0 then 'configuration'
            else 'code'
        end as cause_kind,
        nodes.node_id as cause_node_id,
        case when position('named ''' || nodes.node_name || '''' in judged.message) > 0 then 90 else 80 end as weight
    from judged
    inner join nodes
        on
            judged.project = nodes.project
            and judged.environment = nodes.environment
    where
        judged.kind = 'run_incomplete'
        and coalesce(judged.error_class, 'query') = 'query'
        and nodes.resource_type in ('model', 'seed', 'snapshot', 'test', 'source')
        and (
            position('named ''' || nodes.node_name || '''' in judged.message) > 0
            or position(nodes.resource_type || ' ' || nodes.node_name || ' (' in judged.message) > 0
        )

),

-- The sources of an incident, those first that explain the most of what began in the same run, and that the most named words reach.
source_shares as (

    select
        judged.incident_id,
        judged.project,
        judged.environment,
        judged.first_bad_invocation_id,
        judged.is_error,
        {{ has_any_text('judged.message', ['conversion error', 'division by zero', 'out of range', 'invalid input syntax']) }} as is_of_values,
        case when coalesce(matches.reach, 0) + coalesce(matches.place_match_count, 0) > 0 then 1 else 0 end as has_evidence,
        count(*) over (partition by judged.incident_id) as source_count,
        upstream.node_id,
        judged.is_error
        and position(' with name ' || lower(upstream.node_name) || ' does not exist' in lower(judged.message)) > 0 as is_missing,
        coalesce(matches.reach, 0) * 1.0 / nullif(max(coalesce(matches.reach, 0)) over (partition by judged.incident_id), 0) as match_share,
        coalesce(matches.place_match_count, 0) as place_match_count
    from judged
    inner join upstream
        on judged.incident_id = upstream.incident_id
    left join matches
        on
            upstream.incident_id = matches.incident_id
            and upstream.node_id = matches.node_id
    where
        upstream.resource_type = 'source'
        and judged.kind in ('node_failed', 'test_failed', 'volume_odd')
        and (judged.error_class = 'query' or not judged.is_error)

),

joint_shares as (

    select
        *,
        sum(1 + coalesce(match_share, 0)) over (
            partition by project, environment, first_bad_invocation_id, is_error, node_id
        ) as joint_share,
        max(has_evidence) over (
            partition by project, environment, first_bad_invocation_id, is_error, node_id
        ) as joint_evidence
    from source_shares

),

numbered_sources as (

    select
        *,
        row_number() over (
            partition by incident_id
            order by joint_share desc, match_share desc, place_match_count desc, node_id asc
        ) as source_number
    from joint_shares

),

of_sources as (

    select
        incident_id,
        case when is_error and not is_of_values then 'source_schema' else 'source_data' end as cause_kind,
        node_id as cause_node_id,
        case
            when is_missing then 98
            when source_number = 1 and (source_count = 1 or joint_evidence = 1) then 60
            else 57 - source_number / 100.0
        end as weight
    from numbered_sources

),

of_themselves as (

    select
        incident_id,
        'source_stale' as cause_kind,
        node_id as cause_node_id,
        90 as weight
    from judged
    where kind = 'source_stale'

),

own as (

    select * from of_errors
    union all
    select * from of_changes
    union all
    select * from of_starts
    union all
    select * from of_sources
    union all
    select * from of_themselves

),

-- The cause of an incident upstream is likelier than anything but what the error itself names. One that is only a source is less likely than a change.
inherited as (

    select
        roots.incident_id,
        own.cause_kind,
        own.cause_node_id,
        roots.upstream_incident_id,
        case when own.weight >= 65 then 90 else 61 end + own.weight / 100.0 as weight
    from roots
    inner join own
        on roots.upstream_incident_id = own.incident_id

),

-- A change that clearly caused another incident of the same run is likelier than a source.
strong_changes as (

    select distinct
        judged.project,
        judged.environment,
        judged.first_bad_invocation_id,
        of_changes.cause_kind,
        of_changes.cause_node_id
    from of_changes
    inner join judged
        on of_changes.incident_id = judged.incident_id
    where of_changes.weight >= 70

),

shared as (

    select
        own.incident_id,
        own.cause_kind,
        own.cause_node_id,
        cast(null as {{ dbt.type_string() }}) as upstream_incident_id,
        cast(65 as {{ dbt.type_float() }}) as weight
    from own
    inner join judged
        on own.incident_id = judged.incident_id
    inner join strong_changes
        on
            judged.project = strong_changes.project
            and judged.environment = strong_changes.environment
            and judged.first_bad_invocation_id = strong_changes.first_bad_invocation_id
            and own.cause_kind = strong_changes.cause_kind
            and own.cause_node_id = strong_changes.cause_node_id

),

candidates as (

    select * from shared

    union all

    select
        incident_id,
        cause_kind,
        cause_node_id,
        cast(null as {{ dbt.type_string() }}) as upstream_incident_id,
        cast(weight as {{ dbt.type_float() }}) as weight
    from own

    union all

    select
        incident_id,
        cause_kind,
        cause_node_id,
        upstream_incident_id,
        cast(weight as {{ dbt.type_float() }}) as weight
    from inherited

),

weighed as (

    select
        candidates.incident_id,
        judged.project,
        judged.environment,
        judged.first_bad_invocation_id,
        candidates.cause_kind,
        candidates.cause_node_id,
        coalesce(max(nodes.node_name), candidates.cause_node_id) as cause_node_name,
        max(candidates.upstream_incident_id) as upstream_incident_id,
        max(candidates.weight) as weight,
        coalesce(max(upstream.level), -1) as level,
        max(coalesce(matches.match_count, 0)) as match_count
    from candidates
    inner join judged
        on candidates.incident_id = judged.incident_id
    left join nodes
        on
            judged.project = nodes.project
            and judged.environment = nodes.environment
            and candidates.cause_node_id = nodes.node_id
    left join upstream
        on
            candidates.incident_id = upstream.incident_id
            and candidates.cause_node_id = upstream.node_id
    left join matches
        on
            candidates.incident_id = matches.incident_id
            and candidates.cause_node_id = matches.node_id
    group by
        candidates.incident_id,
        judged.project,
        judged.environment,
        judged.first_bad_invocation_id,
        candidates.cause_kind,
        candidates.cause_node_id

),

explained as (

    select
        *,
        count(*) over (
            partition by project, environment, first_bad_invocation_id, cause_kind, cause_node_id
        ) as explained_count
    from weighed

),

ranked as (

    select
        *,
        row_number() over (
            partition by incident_id
            order by weight desc, match_count desc, explained_count desc, level desc, cause_node_id asc, cause_kind asc
        ) as cause_rank
    from explained

),

final as (

    select
        {{ surrogate_key(['incident_id', 'cause_rank']) }} as incident_cause_id,
        incident_id,
        project,
        environment,
        cast(cause_rank as bigint) as cause_rank,
        cause_kind,
        cause_node_id,
        cause_node_name,
        upstream_incident_id,
        cast(explained_count as bigint) as explained_count,
        weight >= 58 as is_likely,
        case cause_kind
            when 'code' then 'the code of ' || cause_node_name || ' changed'
            when 'configuration' then 'the configuration of ' || cause_node_name || ', or a variable that it reads, changed'
            when 'new_node' then cause_node_name || ' is new'
            when 'macro' then 'a macro of ' || cause_node_name || ' changed'
            when 'seed' then 'the seed ' || cause_node_name || ' changed'
            when 'test' then 'the test ' || cause_node_name || ' changed'
            when 'removed_node' then cause_node_name || ' was removed'
            when 'source_stale' then 'source ' || cause_node_name || ' is late'
            when 'source_schema' then 'the table of source ' || cause_node_name || ' changed'
            when 'source_data' then 'bad rows in source ' || cause_node_name
            when 'disk_full' then 'no space left on a disk'
            when 'out_of_memory' then 'not enough memory'
            when 'timeout' then 'a time limit was exceeded'
            when 'permission' then 'a permission is missing'
            when 'connection' then 'a connection failed'
        end as cause
    from ranked
    where cause_rank <= 3

)

select * from final
