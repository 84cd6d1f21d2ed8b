-- How far the words of an incident reach: those of the tested column, of a test's own code, or of an error, from each name to those that define it
-- and to the parents that have it. A word has the strength 100; 50 if it reaches a source through `select *` alone, whose columns are not known; and 10
-- if it is the key of a join on the way. Of the newest incidents of an environment alone.
with recursive

judged as (

    select * from {{ ref('int_incident_errors') }}

),

upstream as (

    select * from {{ ref('int_incident_upstream') }}

),

-- The text of an error without what DuckDB proposes instead, and the newest incidents, of which the words are followed.
worded as (

    select
        *,
        regexp_replace(message, '(Candidate bindings|Did you mean|Candidate functions).*', '') as what_failed,
        row_number() over (
            partition by project, environment
            order by started_at desc, incident_id asc
        ) as newest_number
    from judged
    where error_class = 'query' or error_class is null

),

-- An error that quotes names is about those; any other about all words of its message.
relevant as (

    select
        worded.incident_id,
        worded.node_id,
        lower(worded.column_name) as column_name,
        {{ words_in(
            "coalesce(case when position('\"' in worded.what_failed) > 0 "
            ~ "then regexp_replace(worded.what_failed, '[^\"]*\"([^\"]*)\"[^\"]*', ' \\1 ', 'g') else worded.message end, '') "
            ~ "|| ' ' || coalesce(worded.column_name, '') || ' ' || coalesce(contents.code_tokens, '')"
        ) }} as relevant_text
    from worded
    left join {{ ref('stg_history__nodes') }} as contents
        on
            worded.node_hash = contents.node_hash
            and worded.resource_type = 'test'
    where worded.newest_number <= {{ var('followed_incidents') }}

),

-- Words by which an incident names what it is about: those of its error, of the tested column, and of a test's own code.
all_words as (

    select distinct
        incident_id,
        node_id,
        column_name,
        word
    from {{ words_of('relevant', 'relevant_text') }} as relevant_words
    where
        {{ is_name('word') }}
        and word != '_dbt_generic_test_kwargs'
        and substring(word, 1, 5) != 'test_'

),

-- At most thirty, the column first: each is followed through all nodes upstream.
numbered_words as (

    select
        *,
        row_number() over (
            partition by incident_id
            order by case when word = column_name then 0 else 1 end, word
        ) as word_number
    from all_words

),

named_words as (

    select * from numbered_words
    where word_number <= 30

),

ways as (

    select false as is_by_key
    union all
    select true as is_by_key

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

-- What a node's code says; of a source its name and its columns.
node_texts as (

    select
        upstream.incident_id,
        upstream.project,
        upstream.environment,
        upstream.node_id,
        upstream.node_hash,
        case
            when upstream.resource_type = 'source'
                then {{ words_in("upstream.node_name || ' ' || coalesce(codes.columns, '')") }}
            -- Names in the arguments of macros are quoted.
            else codes.code || {{ words_in('codes.code') }} || coalesce(upstream.changed_words, '') || coalesce(upstream.redefined_names, '')
        end as node_text,
        upstream.resource_type = 'source' and coalesce(codes.columns, '{}') = '{}' as is_undocumented
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
    where
        position('#' in word) = 0
        and position('~' in word) = 0

),

-- From a node to itself, by a definition, and to its parents, by the same word.
moves as (

    select
        incident_id,
        node_id,
        node_id as next_node_id,
        node_hash,
        cast(null as {{ dbt.type_string() }}) as next_text,
        cast(null as integer) as star_strength
    from node_texts

    union all

    select
        node_texts.incident_id,
        node_texts.node_id,
        edges.parent_id as next_node_id,
        cast(null as {{ dbt.type_string() }}) as node_hash,
        -- Of a source without documented columns, what its reader names.
        parents.node_text || case when parents.is_undocumented then coalesce(node_texts.node_text, '') else '' end as next_text,
        case
            when parents.is_undocumented and {{ selects_star('node_texts.node_text') }} then 50
            when {{ selects_star('parents.node_text') }} then 100
        end as star_strength
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

-- union, not union all: each word is reached once in a node, directly or by the key of a join.
traces as (

    select
        named_words.incident_id,
        named_words.node_id,
        named_words.word,
        named_words.word as origin,
        100 as strength
    from named_words
    inner join judged
        on named_words.incident_id = judged.incident_id
    left join codes
        on judged.node_hash = codes.node_hash
    -- Of the words of an error, those of the node's own code.
    where
        not judged.is_error
        or codes.code is null
        or position(' ' || named_words.word || ' ' in {{ words_in('codes.code') }}) > 0

    union

    select
        traces.incident_id,
        moves.next_node_id as node_id,
        coalesce(definitions.word, traces.word) as word,
        traces.origin,
        case
            when ways.is_by_key then 10
            when definitions.word is not null or position(' ' || traces.word || ' ' in moves.next_text) > 0 then traces.strength
            else least(traces.strength, moves.star_strength)
        end as strength
    from traces
    cross join ways
    inner join moves
        on
            traces.incident_id = moves.incident_id
            and traces.node_id = moves.node_id
    left join definitions
        on
            moves.node_hash = definitions.node_hash
            and case when not ways.is_by_key then traces.word when traces.strength > 10 then 'on' end = definitions.defined_word
    where
        definitions.word is not null
        or (
            not ways.is_by_key
            and (
                position(' ' || traces.word || ' ' in moves.next_text) > 0
                or moves.star_strength is not null
            )
        )

),

strengths as (

    select
        incident_id,
        node_id,
        origin,
        max(strength) as strength
    from traces
    group by incident_id, node_id, origin

),

reaches as (

    select
        incident_id,
        node_id,
        sum(strength) as reach
    from strengths
    group by incident_id, node_id

),

-- How many of the words that reach a node are in its edit, or are defined in it.
matches as (

    select
        traces.incident_id,
        traces.node_id,
        count(distinct case
            when upstream.resource_type = 'source' then null
            when position(' ' || traces.word || ' ' in upstream.changed_words || coalesce(upstream.redefined_names, '')) > 0 then traces.word
            when upstream.changed_words is null or upstream.change = 'macros' then definitions.defined_word
        end) as match_count,
        count(distinct case when position(' ' || traces.word || ' ' in upstream.changed_words) > 0 then traces.word end) as edit_count,
        count(distinct traces.word) as word_count
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
        (upstream.resource_type = 'source' or upstream.change is not null)
        and traces.strength > 10
    group by traces.incident_id, traces.node_id

),

-- How many names of the tested or failed node's code a source has.
place_matches as (

    select
        node_texts.incident_id,
        node_texts.node_id,
        count(distinct place_words.word) as match_count
    from node_texts
    inner join judged
        on node_texts.incident_id = judged.incident_id
    inner join node_texts as places
        on
            judged.incident_id = places.incident_id
            and judged.place_id = places.node_id
    inner join {{ words_of('codes', 'code') }} as place_words
        on places.node_hash = place_words.node_hash
    where
        node_texts.node_id like 'source.%'
        and {{ is_name('place_words.word') }}
        and position(' ' || place_words.word || ' ' in node_texts.node_text) > 0
    group by node_texts.incident_id, node_texts.node_id

),

reached as (

    select
        incident_id,
        node_id
    from reaches
    where exists (
        select 1
        from upstream
        where
            upstream.incident_id = reaches.incident_id
            and upstream.node_id = reaches.node_id
            and (upstream.resource_type = 'source' or upstream.change is not null)
    )

    union

    select
        incident_id,
        node_id
    from place_matches

),

final as (

    select
        {{ surrogate_key(['reached.incident_id', 'reached.node_id']) }} as incident_word_id,
        reached.incident_id,
        reached.node_id,
        cast(coalesce(matches.match_count, 0) as bigint) as match_count,
        cast(coalesce(matches.edit_count, 0) as bigint) as edit_count,
        cast(coalesce(reaches.reach, 0) + coalesce(matches.word_count, 0) as bigint) as reach,
        cast(coalesce(place_matches.match_count, 0) as bigint) as place_match_count
    from reached
    left join reaches
        on
            reached.incident_id = reaches.incident_id
            and reached.node_id = reaches.node_id
    left join matches
        on
            reached.incident_id = matches.incident_id
            and reached.node_id = matches.node_id
    left join place_matches
        on
            reached.incident_id = place_matches.incident_id
            and reached.node_id = place_matches.node_id

)

select * from final
