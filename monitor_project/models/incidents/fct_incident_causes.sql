-- What probably caused an incident, the likeliest first: from the text of its error, from what changed upstream since its node's last success,
-- from incidents upstream that began with it, and from the sources on which it depends. The words that an incident names (its column, the names in
-- its test or its error) are followed upstream, from each name to those that define it. Only for incidents that can still be announced.
with recursive

incidents as (

    select
        incidents.*,
        nodes.resource_type,
        nodes.node_name,
        nodes.column_name,
        nodes.node_hash,
        coalesce(nodes.attached_node_id, incidents.node_id) as place_id
    from {{ ref('fct_incidents') }} as incidents
    left join {{ ref('dim_nodes_ever') }} as nodes
        on
            incidents.project = nodes.project
            and incidents.environment = nodes.environment
            and incidents.node_id = nodes.node_id
    where
        incidents.last_bad_at >= {{ dbt.dateadd('day', '-' ~ var('announce_max_age_days'), as_of()) }}
        and incidents.kind in (
            'node_failed', 'test_failed', 'mass_failure', 'run_incomplete', 'source_stale', 'source_unchecked', 'schema_changed',
            'volume_odd', 'model_slow'
        )

),

upstream as (

    select * from {{ ref('int_incident_upstream') }}

),

nodes as (

    select * from {{ ref('dim_nodes_ever') }}

),

first_results as (

    select
        incidents.incident_id,
        max(case when executions.node_status in ('error', 'runtime error') then 1 else 0 end) as is_error,
        max(executions.message) as message
    from incidents
    inner join {{ ref('int_turning_executions') }} as executions
        on
            incidents.project = executions.project
            and incidents.environment = executions.environment
            and incidents.first_bad_invocation_id = executions.invocation_id
            and incidents.node_id = executions.node_id
    where executions.outcome != 'success'
    group by incidents.incident_id

),

texts as (

    select
        incidents.incident_id,
        coalesce(first_results.is_error, case when incidents.kind in ('mass_failure', 'run_incomplete') then 1 end, 0) = 1 as is_error,
        coalesce(first_results.message, case when incidents.kind in ('mass_failure', 'run_incomplete') then incidents.detail end) as message
    from incidents
    left join first_results
        on incidents.incident_id = first_results.incident_id

),

judged as (

    select
        incidents.*,
        texts.is_error,
        texts.message,
        case when texts.is_error then {{ error_class('texts.message') }} end as error_class
    from incidents
    inner join texts
        on incidents.incident_id = texts.incident_id

),

successes as (

    select
        incident_id,
        max(last_success_at) as last_success_at,
        max(case when change is not null then 1 else 0 end) = 1 as has_changes
    from upstream
    group by incident_id

),

-- Incidents of other nodes upstream that began after the last success and not after this one.
above as (

    select distinct
        judged.incident_id,
        others.incident_id as upstream_incident_id,
        others.place_id
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

-- Those with none above themselves.
roots as (

    select above.*
    from above
    left join above as higher
        on above.upstream_incident_id = higher.incident_id
    where higher.incident_id is null

),

relevant as (

    select
        judged.incident_id,
        judged.node_id,
        {{ words_in("coalesce(judged.message, '') || ' ' || coalesce(judged.column_name, '') || ' ' || coalesce(contents.code_tokens, '')") }}
            as relevant_text
    from judged
    left join {{ ref('stg_history__nodes') }} as contents
        on
            judged.node_hash = contents.node_hash
            and judged.resource_type = 'test'
    where judged.error_class = 'query' or judged.error_class is null

),

of_errors as (

    select
        incident_id,
        error_class as cause_kind,
        node_id as cause_node_id,
        100 as weight
    from judged
    where error_class != 'query'

),

-- Words by which an incident names what it is about: those of its error, of the tested column, and of a test's own code.
named_words as (

    select distinct
        incident_id,
        node_id,
        word
    from {{ words_of('relevant', 'relevant_text') }} as relevant_words
    where {{ is_name('word') }}

),

codes as (

    select
        node_hash,
        columns,
        ' ' || code_tokens || ' ' as code,
        definitions
    from {{ ref('stg_history__nodes') }}
    where node_hash in (select upstream.node_hash from upstream)

),

-- What a node's code says; of a source its name and its columns, and nothing where no columns are documented.
node_texts as (

    select
        upstream.incident_id,
        upstream.project,
        upstream.environment,
        upstream.node_id,
        upstream.node_hash,
        case
            when upstream.resource_type = 'source'
                then {{ words_in("upstream.node_name || ' ' || nullif(codes.columns, '{}')") }}
            else codes.code || coalesce(upstream.changed_words, '')
        end as node_text
    from upstream
    left join codes
        on upstream.node_hash = codes.node_hash

),

definitions as (

    select
        node_hash,
        {{ dbt.split_part('word', "'='", 1) }} as defined_word,
        {{ dbt.split_part('word', "'='", 2) }} as word
    from {{ words_of('codes', 'definitions') }} as definition_words

),

-- From a node to itself, by a definition, and to its parents, by the same word.
moves as (

    select
        incident_id,
        node_id,
        node_id as next_node_id,
        node_hash,
        cast(null as {{ dbt.type_string() }}) as next_text
    from node_texts

    union all

    select
        node_texts.incident_id,
        node_texts.node_id,
        edges.parent_id as next_node_id,
        cast(null as {{ dbt.type_string() }}) as node_hash,
        coalesce(parents.node_text, '*') as next_text
    from node_texts
    inner join {{ ref('fct_lineage_edges') }} as edges
        on
            node_texts.project = edges.project
            and node_texts.environment = edges.environment
            and node_texts.node_id = edges.child_id
    inner join node_texts as parents
        on
            node_texts.incident_id = parents.incident_id
            and edges.parent_id = parents.node_id

),

-- union, not union all: each word is reached once in a node.
traces as (

    select
        incident_id,
        node_id,
        word
    from named_words

    union

    select
        traces.incident_id,
        moves.next_node_id as node_id,
        coalesce(definitions.word, traces.word) as word
    from traces
    inner join moves
        on
            traces.incident_id = moves.incident_id
            and traces.node_id = moves.node_id
    left join definitions
        on
            moves.node_hash = definitions.node_hash
            and traces.word = definitions.defined_word
    where
        definitions.word is not null
        or moves.next_text = '*'
        or position(' ' || traces.word || ' ' in moves.next_text) > 0
        or position(' select * ' in moves.next_text) > 0

),

-- How many of the words that reach a node are in its edit, or are defined in it, or are of its columns.
matches as (

    select
        traces.incident_id,
        traces.node_id,
        count(distinct case
            when upstream.resource_type = 'source' then traces.word
            when upstream.changed_words is not null and position(' ' || traces.word || ' ' in upstream.changed_words) > 0 then traces.word
            when upstream.changed_words is null then definitions.defined_word
        end) as match_count
    from traces
    inner join upstream
        on
            traces.incident_id = upstream.incident_id
            and traces.node_id = upstream.node_id
    left join definitions
        on
            upstream.node_hash = definitions.node_hash
            and traces.word = definitions.defined_word
    where
        upstream.resource_type = 'source'
        or upstream.change is not null
    group by traces.incident_id, traces.node_id

),

of_changes as (

    select
        judged.incident_id,
        case
            when upstream.change = 'removed' then 'removed_node'
            when upstream.resource_type = 'seed' and upstream.change != 'configuration' then 'seed'
            when upstream.resource_type in ('test', 'unit_test') then 'test'
            when upstream.change = 'macros' then 'macro'
            when upstream.change = 'configuration' then 'configuration'
            else 'code'
        end as cause_kind,
        upstream.node_id as cause_node_id,
        case
            when judged.is_error and upstream.changed_words is not null and matches.match_count > 0 then 97
            when judged.is_error and position('''' || upstream.node_name || '''' in judged.message) > 0 then 96
            when judged.is_error and upstream.changed_words is not null then 55
            when judged.is_error and upstream.node_id = judged.node_id then 95
            when upstream.is_rewording then 58
            when
                upstream.changed_words is not null
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

-- A build that did not start names the node that it stumbled over.
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
        and judged.error_class = 'query'
        and nodes.resource_type in ('model', 'seed', 'snapshot', 'test', 'source')
        and (
            position('named ''' || nodes.node_name || '''' in judged.message) > 0
            or position(nodes.resource_type || ' ' || nodes.node_name || ' (' in judged.message) > 0
        )

),

of_sources as (

    select
        judged.incident_id,
        case when judged.is_error then 'source_schema' else 'source_data' end as cause_kind,
        upstream.node_id as cause_node_id,
        case
            -- Of several sources, those that the most named words reach.
            when coalesce(matches.match_count, 0) < max(coalesce(matches.match_count, 0)) over (partition by judged.incident_id) then 57
            when judged.is_error and position(' with name ' || lower(upstream.node_name) || ' does not exist' in lower(judged.message)) > 0 then 98
            else 60
        end as weight
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
        and (judged.error_class = 'query' or judged.error_class is null)

),

of_themselves as (

    select
        incident_id,
        case when kind = 'source_stale' then 'source_stale' else 'source_schema' end as cause_kind,
        node_id as cause_node_id,
        90 as weight
    from judged
    where kind in ('source_stale', 'source_unchecked')

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

-- The cause of an incident upstream is likelier than anything but an error of the node's own, or of its own change.
inherited as (

    select
        roots.incident_id,
        own.cause_kind,
        own.cause_node_id,
        roots.upstream_incident_id,
        90 + own.weight / 100.0 as weight
    from roots
    inner join own
        on roots.upstream_incident_id = own.incident_id

),

candidates as (

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
        max(nodes.node_name) as cause_node_name,
        max(candidates.upstream_incident_id) as upstream_incident_id,
        max(candidates.weight) as weight,
        max(upstream.level) as level,
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
        case cause_kind
            when 'code' then 'the code of ' || cause_node_name || ' changed'
            when 'configuration' then 'the configuration of ' || cause_node_name || ' changed'
            when 'macro' then 'a macro of ' || cause_node_name || ' changed'
            when 'seed' then 'the seed ' || cause_node_name || ' changed'
            when 'test' then 'the test ' || cause_node_name || ' changed'
            when 'removed_node' then cause_node_name || ' was removed'
            when 'source_stale' then 'source ' || cause_node_name || ' is late'
            when 'source_schema' then 'the table of source ' || cause_node_name || ' changed'
            when 'source_data' then 'rows of source ' || cause_node_name
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
