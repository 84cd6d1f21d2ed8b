-- Columns that were added, removed or retyped. The next catalog or manifest without another change of the relation is good.
with

changes as (

    select * from {{ ref('fct_schema_changes') }}

),

observations as (

    select
        project,
        environment,
        invocation_id,
        generated_at as observed_at,
        'catalog' as reported_by
    from {{ ref('stg_history__catalogs') }}

    union all

    select
        project,
        environment,
        invocation_id,
        generated_at as observed_at,
        'contract' as reported_by
    from {{ ref('stg_history__invocations') }}
    where manifest_hash is not null

),

next_observations as (

    select
        changes.project,
        changes.environment,
        changes.node_id,
        observations.invocation_id,
        observations.observed_at,
        observations.reported_by,
        row_number() over (
            partition by changes.schema_change_id
            order by observations.observed_at, observations.invocation_id
        ) as observation_number
    from changes
    inner join observations
        on
            changes.project = observations.project
            and changes.environment = observations.environment
            and changes.reported_by = observations.reported_by
            and changes.changed_at < observations.observed_at
    where observations.observed_at <= {{ as_of() }}

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
        next_observations.project,
        next_observations.environment,
        next_observations.node_id,
        next_observations.invocation_id,
        next_observations.observed_at,
        null as differences,
        next_observations.reported_by,
        false as is_bad
    from next_observations
    left join changes
        on
            next_observations.project = changes.project
            and next_observations.environment = changes.environment
            and next_observations.node_id = changes.node_id
            and next_observations.invocation_id = changes.invocation_id
    where
        next_observations.observation_number = 1
        and changes.node_id is null

),

nodes as (

    select * from {{ ref('dim_nodes_ever') }}

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
        || case when moments.is_bad then ' changed' else ' are unchanged' end as title,
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
