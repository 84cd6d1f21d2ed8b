-- Columns that came, went or changed their type. The next look without another change of the same relation ends it.
with

changes as (

    select * from {{ ref('fct_schema_changes') }}

),

looks as (

    select
        project,
        environment,
        invocation_id,
        generated_at as looked_at,
        'catalog' as reported_by
    from {{ ref('stg_history__catalogs') }}

    union all

    select
        project,
        environment,
        invocation_id,
        generated_at as looked_at,
        'contract' as reported_by
    from {{ ref('stg_history__invocations') }}
    where manifest_hash is not null

),

next_looks as (

    select
        changes.project,
        changes.environment,
        changes.node_id,
        looks.invocation_id,
        looks.looked_at,
        looks.reported_by,
        row_number() over (
            partition by changes.schema_change_id
            order by looks.looked_at, looks.invocation_id
        ) as look_number
    from changes
    inner join looks
        on
            changes.project = looks.project
            and changes.environment = looks.environment
            and changes.reported_by = looks.reported_by
            and changes.changed_at < looks.looked_at
    where looks.looked_at <= {{ as_of() }}

),

moments as (

    select
        project,
        environment,
        node_id,
        invocation_id,
        changed_at as observed_at,
        differences,
        reported_by,
        true as is_bad
    from changes

    union all

    select
        next_looks.project,
        next_looks.environment,
        next_looks.node_id,
        next_looks.invocation_id,
        next_looks.looked_at as observed_at,
        null as differences,
        next_looks.reported_by,
        false as is_bad
    from next_looks
    left join changes
        on
            next_looks.project = changes.project
            and next_looks.environment = changes.environment
            and next_looks.node_id = changes.node_id
            and next_looks.invocation_id = changes.invocation_id
    where
        next_looks.look_number = 1
        and changes.node_id is null

),

nodes as (

    select * from {{ ref('dim_nodes') }}

),

observed as (

    select
        {{ surrogate_key(["'schema_changed'", 'moments.project', 'moments.environment', 'moments.node_id']) }} as signal_key,
        'schema_changed' as kind,
        moments.project,
        moments.environment,
        moments.observed_at,
        moments.invocation_id,
        moments.is_bad,
        'warning' as severity,
        'the columns of ' || {{ node_label('nodes.node_name', 'moments.node_id') }}
        || case when moments.is_bad then ' changed' else ' are as before' end as title,
        substring(moments.differences, 1, 300) as detail,
        moments.node_id,
        nodes.owner,
        {{ json_object({'path': 'nodes.path', 'differences': 'moments.differences', 'reported_by': 'moments.reported_by'}) }} as evidence
    from moments
    left join nodes
        on
            moments.project = nodes.project
            and moments.environment = nodes.environment
            and moments.node_id = nodes.node_id

)

{{ signal_columns('observed') }}
