-- On what the node of an incident depends, itself included, and what changed there between its last success and its first bad observation:
-- code, configuration, macros or existence. A mass failure depends on what its failed nodes depend on. The compared manifests are those of
-- the two runs; the lineage is that of the newest manifest. Only for incidents that can still be announced.
with recursive

incidents as (

    select * from {{ ref('fct_incidents') }}
    where
        (node_id is not null or kind = 'mass_failure')
        and last_bad_at >= {{ dbt.dateadd('day', '-' ~ var('announce_max_age_days'), as_of()) }}

),

executions as (

    select
        project,
        environment,
        invocation_id,
        node_id,
        outcome,
        observed_at
    from {{ ref('int_turning_executions_daily') }}

),

starts as (

    select
        incident_id,
        project,
        environment,
        node_id,
        first_bad_invocation_id,
        started_at
    from incidents
    where node_id is not null

    union all

    select
        incidents.incident_id,
        incidents.project,
        incidents.environment,
        executions.node_id,
        incidents.first_bad_invocation_id,
        incidents.started_at
    from incidents
    inner join executions
        on
            incidents.project = executions.project
            and incidents.environment = executions.environment
            and incidents.first_bad_invocation_id = executions.invocation_id
            and incidents.kind = 'mass_failure'
    where executions.outcome = 'failure'

),

-- A success before a failure is among the turning executions; before anything else it is the last one of an earlier date, or the first of the same.
success_times as (

    select
        starts.incident_id,
        max(executions.observed_at) as last_success_at
    from starts
    inner join executions
        on
            starts.project = executions.project
            and starts.environment = executions.environment
            and starts.node_id = executions.node_id
            and starts.started_at > executions.observed_at
            and starts.first_bad_invocation_id != executions.invocation_id
    where executions.outcome = 'success'
    group by starts.incident_id

),

successes as (

    select
        starts.incident_id,
        success_times.last_success_at,
        max(executions.invocation_id) as last_success_run_id
    from starts
    inner join success_times
        on starts.incident_id = success_times.incident_id
    inner join executions
        on
            starts.project = executions.project
            and starts.environment = executions.environment
            and starts.node_id = executions.node_id
            and success_times.last_success_at = executions.observed_at
            and starts.first_bad_invocation_id != executions.invocation_id
    where executions.outcome = 'success'
    group by starts.incident_id, success_times.last_success_at

),

manifests as (

    select
        project,
        environment,
        invocation_id,
        manifest_hash,
        project_variables
    from {{ ref('stg_history__invocations') }}
    where manifest_hash is not null

),

compared as (

    select
        incidents.incident_id,
        successes.last_success_run_id,
        successes.last_success_at,
        good.manifest_hash as good_hash,
        bad.manifest_hash as bad_hash,
        good.project_variables as good_variables,
        bad.project_variables as bad_variables
    from incidents
    left join successes
        on incidents.incident_id = successes.incident_id
    left join manifests as good
        on
            incidents.project = good.project
            and incidents.environment = good.environment
            and successes.last_success_run_id = good.invocation_id
    left join manifests as bad
        on
            incidents.project = bad.project
            and incidents.environment = bad.environment
            and incidents.first_bad_invocation_id = bad.invocation_id

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
        nodes.resource_type,
        nodes.code_hash,
        nodes.config_hash,
        nodes.macros_hash,
        nodes.code_tokens,
        nodes.macros_tokens,
        nodes.definitions,
        nodes.latest_version,
        case when nodes.has_contract then nodes.columns end as contract
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
        case
            when good.node_id is null then 'new'
            when bad.code_hash != good.code_hash and coalesce(bad.code_tokens != good.code_tokens, true) then 'code'
            when
                bad.config_hash != good.config_hash
                or bad.contract != good.contract
                or bad.latest_version != good.latest_version
                then 'configuration'
            when
                bad.config_hash is not null
                and good.config_hash is not null
                and coalesce(bad.macros_hash, '') != coalesce(good.macros_hash, '')
                and coalesce(bad.macros_tokens != good.macros_tokens, true)
                then 'macros'
            when bad.code_hash != good.code_hash or bad.macros_hash != good.macros_hash then 'formatting'
        end as change,
        bad.code_hash != good.code_hash and coalesce(bad.code_tokens != good.code_tokens, true) as is_other_code,
        good.code_tokens as good_code,
        bad.code_tokens as bad_code,
        good.macros_tokens as good_macros,
        bad.macros_tokens as bad_macros,
        good.definitions as good_definitions,
        bad.definitions as bad_definitions,
        good.node_id is null or (good.config_hash is not null and bad.config_hash is not null) as is_change_known
    from pairs
    inner join contents as bad
        on pairs.bad_hash = bad.manifest_hash
    left join contents as good
        on
            pairs.good_hash = good.manifest_hash
            and bad.node_id = good.node_id
    where bad.node_name is not null

),

edits_of_text as (

    select
        *,
        case when is_other_code then good_code else good_macros end as good_tokens,
        case when is_other_code then bad_code else bad_macros end as bad_tokens
    from changed
    where change in ('code', 'macros')

),

edited as (

    select * from edits_of_text
    where
        good_tokens is not null
        and bad_tokens is not null

),

-- How often each word is in the code before and after.
counted_words as (

    select
        good_hash,
        bad_hash,
        node_id,
        word,
        sum(good_count) as good_count,
        sum(bad_count) as bad_count
    from (
        select
            good_hash,
            bad_hash,
            node_id,
            word,
            1 as good_count,
            0 as bad_count
        from {{ words_of('edited', 'good_tokens') }} as good_words
        union all
        select
            good_hash,
            bad_hash,
            node_id,
            word,
            0 as good_count,
            1 as bad_count
        from {{ words_of('edited', 'bad_tokens') }} as bad_words
    ) as both_words
    group by good_hash, bad_hash, node_id, word

),

-- A rewording uses no name that was not there before or is gone, no other number or text, and nothing that filters, joins or calculates.
edits as (

    select
        good_hash,
        bad_hash,
        node_id,
        coalesce(' ' || {{ dbt.listagg("case when good_count != bad_count then word end", "' '", "order by word") }} || ' ', ' ') as changed_words,
        min(
            case
                when
                    good_count = bad_count
                    or word in ({{ text_list(['as', 'on', 'using', 'cast', '(', ')', ',', '.', ':', '=', ';']) }})
                    or (good_count > 0 and bad_count > 0 and {{ is_name('word') }})
                    then 1
                else 0
            end
        ) = 1 as is_rewording
    from counted_words
    group by good_hash, bad_hash, node_id

),

-- Names whose expression is another one than before, and whether the order of its words matters.
redefined_words as (

    select
        good_hash,
        bad_hash,
        node_id,
        word,
        position(
            ' ' || {{ dbt.split_part('word', "'='", 1) }} || '=~ ' in ' ' || bad_definitions || ' '
        ) > 0 as is_ordered
    from {{ words_of('edited', 'bad_definitions') }} as new_definitions
    where
        position('#' in word) > 0
        and position(' ' || word || ' ' in ' ' || coalesce(good_definitions, '') || ' ') = 0

),

redefinitions as (

    select
        good_hash,
        bad_hash,
        node_id,
        {{ dbt.listagg(dbt.split_part('word', "'='", 1), "' '", "order by word") }} as redefined_names,
        max(case when is_ordered then 1 else 0 end) = 1 as is_ordered
    from redefined_words
    group by good_hash, bad_hash, node_id

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
    from starts

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

-- Variables of dbt_project.yml with another value than before, and the nodes whose code or macros read them.
other_variables as (

    select * from compared
    where good_variables != bad_variables

),

changed_variables as (

    select
        incident_id,
        {{ dbt.split_part('word', "'='", 1) }} as variable_name
    from {{ words_of('other_variables', 'bad_variables') }} as new_variables
    where position(' ' || word || ' ' in ' ' || good_variables || ' ') = 0

    union

    select
        incident_id,
        {{ dbt.split_part('word', "'='", 1) }} as variable_name
    from {{ words_of('other_variables', 'good_variables') }} as old_variables
    where position(' ' || word || ' ' in ' ' || bad_variables || ' ') = 0

),

variable_uses as (

    select distinct
        changed_variables.incident_id,
        upstream.node_id
    from changed_variables
    inner join upstream
        on changed_variables.incident_id = upstream.incident_id
    inner join {{ ref('dim_nodes_ever') }} as nodes
        on
            upstream.project = nodes.project
            and upstream.environment = nodes.environment
            and upstream.node_id = nodes.node_id
    inner join {{ ref('stg_history__nodes') }} as codes
        on nodes.node_hash = codes.node_hash
    where
        position(
            ' var ( ''' || changed_variables.variable_name || ''''
            in ' ' || coalesce(codes.code_tokens, '') || ' ' || coalesce(codes.macros_tokens, '')
        ) > 0

),

-- A removed node is reached by what depended on it when all was well; it is in the first of the two manifests alone.
removed as (

    select distinct
        upstream.incident_id,
        upstream.project,
        upstream.environment,
        gone.node_id,
        gone.node_name,
        gone.resource_type
    from upstream
    inner join compared
        on upstream.incident_id = compared.incident_id
    inner join contents as children
        on
            compared.good_hash = children.manifest_hash
            and upstream.node_id = children.node_id
    inner join {{ ref('stg_history__node_dependencies') }} as dependencies
        on children.node_hash = dependencies.node_hash
    inner join contents as gone
        on
            compared.good_hash = gone.manifest_hash
            and dependencies.parent_unique_id = gone.node_id
    left join contents as kept
        on
            compared.bad_hash = kept.manifest_hash
            and gone.node_id = kept.node_id
    -- One that is back in the newest manifest is reached anyway.
    left join upstream as reached_again
        on
            upstream.incident_id = reached_again.incident_id
            and gone.node_id = reached_again.node_id
    where
        kept.node_id is null
        and compared.bad_hash is not null
        and reached_again.node_id is null

),

levels as (

    select
        project,
        environment,
        child_id as node_id,
        max(child_level) as level
    from edges
    group by project, environment, child_id

),

nodes as (

    select * from {{ ref('dim_nodes_ever') }}

),

reached as (

    select
        upstream.incident_id,
        upstream.project,
        upstream.environment,
        upstream.node_id,
        nodes.node_name,
        nodes.resource_type,
        coalesce(levels.level, 0) as level,
        starts.node_id is not null as is_start,
        case
            when variable_uses.node_id is not null and coalesce(changed.change, 'formatting') = 'formatting' then 'variables'
            else changed.change
        end as change,
        edits.changed_words,
        ' ' || redefinitions.redefined_names || ' ' as redefined_names,
        edits.is_rewording and not coalesce(redefinitions.is_ordered, false) as is_rewording,
        nodes.node_hash,
        compared.good_hash = compared.bad_hash or coalesce(changed.is_change_known, false) as is_change_known,
        compared.last_success_run_id,
        compared.last_success_at
    from upstream
    inner join compared
        on upstream.incident_id = compared.incident_id
    left join starts
        on
            upstream.incident_id = starts.incident_id
            and upstream.node_id = starts.node_id
    left join changed
        on
            compared.good_hash = changed.good_hash
            and compared.bad_hash = changed.bad_hash
            and upstream.node_id = changed.node_id
    left join edits
        on
            compared.good_hash = edits.good_hash
            and compared.bad_hash = edits.bad_hash
            and upstream.node_id = edits.node_id
    left join redefinitions
        on
            compared.good_hash = redefinitions.good_hash
            and compared.bad_hash = redefinitions.bad_hash
            and upstream.node_id = redefinitions.node_id
    left join variable_uses
        on
            upstream.incident_id = variable_uses.incident_id
            and upstream.node_id = variable_uses.node_id
    left join levels
        on
            upstream.project = levels.project
            and upstream.environment = levels.environment
            and upstream.node_id = levels.node_id
    left join nodes
        on
            upstream.project = nodes.project
            and upstream.environment = nodes.environment
            and upstream.node_id = nodes.node_id

    union all

    select
        removed.incident_id,
        removed.project,
        removed.environment,
        removed.node_id,
        removed.node_name,
        removed.resource_type,
        cast(null as bigint) as level,
        false as is_start,
        'removed' as change,
        cast(null as {{ dbt.type_string() }}) as changed_words,
        cast(null as {{ dbt.type_string() }}) as redefined_names,
        cast(null as boolean) as is_rewording,
        cast(null as {{ dbt.type_string() }}) as node_hash,
        true as is_change_known,
        compared.last_success_run_id,
        compared.last_success_at
    from removed
    inner join compared
        on removed.incident_id = compared.incident_id

),

final as (

    select
        {{ surrogate_key(['incident_id', 'node_id']) }} as incident_upstream_id,
        incident_id,
        project,
        environment,
        node_id,
        node_name,
        resource_type,
        is_start,
        cast(level as bigint) as level,
        change,
        changed_words,
        redefined_names,
        is_rewording,
        node_hash,
        max(case when is_start and is_change_known then 1 else 0 end) over (partition by incident_id) = 1 as is_compared,
        last_success_run_id,
        last_success_at
    from reached

)

select * from final
