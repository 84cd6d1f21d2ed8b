-- Columns that came, went or changed their type between a catalog and the one before it. The next catalog without another change ends it.
with

catalogs as (

    select
        project,
        environment,
        invocation_id,
        generated_at,
        catalog_hash,
        lag(catalog_hash) over (
            partition by project, environment
            order by generated_at, invocation_id
        ) as prior_catalog_hash
    from {{ ref('stg_history__catalogs') }}
    where generated_at <= {{ as_of() }}

),

changed_catalogs as (

    select * from catalogs
    where prior_catalog_hash != catalog_hash

),

columns as (

    select * from {{ ref('stg_history__catalog_columns') }}

),

-- Of relations that both catalogs have: a new or removed one is no change of its columns.
common as (

    select distinct
        changed_catalogs.project,
        changed_catalogs.environment,
        changed_catalogs.invocation_id,
        changed_catalogs.generated_at,
        changed_catalogs.catalog_hash,
        changed_catalogs.prior_catalog_hash,
        now_held.unique_id
    from changed_catalogs
    inner join columns as now_held
        on
            changed_catalogs.project = now_held.project
            and changed_catalogs.catalog_hash = now_held.catalog_hash
    inner join columns as then_held
        on
            changed_catalogs.project = then_held.project
            and changed_catalogs.prior_catalog_hash = then_held.catalog_hash
            and now_held.unique_id = then_held.unique_id

),

differences as (

    select
        common.project,
        common.environment,
        common.invocation_id,
        common.generated_at,
        common.unique_id,
        now_held.column_name,
        case when then_held.column_name is null then 'added ' else 'retyped ' end || now_held.column_name as difference
    from common
    inner join columns as now_held
        on
            common.project = now_held.project
            and common.catalog_hash = now_held.catalog_hash
            and common.unique_id = now_held.unique_id
    left join columns as then_held
        on
            common.project = then_held.project
            and common.prior_catalog_hash = then_held.catalog_hash
            and common.unique_id = then_held.unique_id
            and now_held.column_name = then_held.column_name
    where
        then_held.column_name is null
        or then_held.data_type != now_held.data_type

    union all

    select
        common.project,
        common.environment,
        common.invocation_id,
        common.generated_at,
        common.unique_id,
        then_held.column_name,
        'removed ' || then_held.column_name as difference
    from common
    inner join columns as then_held
        on
            common.project = then_held.project
            and common.prior_catalog_hash = then_held.catalog_hash
            and common.unique_id = then_held.unique_id
    left join columns as now_held
        on
            common.project = now_held.project
            and common.catalog_hash = now_held.catalog_hash
            and common.unique_id = now_held.unique_id
            and then_held.column_name = now_held.column_name
    where now_held.column_name is null

),

changes as (

    select
        project,
        environment,
        invocation_id,
        generated_at,
        unique_id,
        {{ dbt.listagg('difference', "', '", 'order by difference') }} as differences
    from differences
    group by project, environment, invocation_id, generated_at, unique_id

),

firsts as (

    select
        project,
        environment,
        unique_id,
        min(generated_at) as first_changed_at
    from changes
    group by project, environment, unique_id

),

-- Each change, and the catalogs after the first change of a relation that did not change it again.
moments as (

    select
        catalogs.project,
        catalogs.environment,
        catalogs.invocation_id,
        catalogs.generated_at as observed_at,
        firsts.unique_id,
        changes.differences,
        changes.unique_id is not null as is_bad
    from catalogs
    inner join firsts
        on
            catalogs.project = firsts.project
            and catalogs.environment = firsts.environment
            and catalogs.generated_at >= firsts.first_changed_at
    left join changes
        on
            catalogs.project = changes.project
            and catalogs.environment = changes.environment
            and catalogs.invocation_id = changes.invocation_id
            and firsts.unique_id = changes.unique_id

),

nodes as (

    select * from {{ ref('dim_nodes') }}

),

observed as (

    select
        {{ surrogate_key(["'schema_changed'", 'moments.project', 'moments.environment', 'moments.unique_id']) }} as signal_key,
        'schema_changed' as kind,
        moments.project,
        moments.environment,
        moments.observed_at,
        moments.invocation_id,
        moments.is_bad,
        'warning' as severity,
        'the columns of ' || coalesce(nodes.node_name, moments.unique_id)
        || case when moments.is_bad then ' changed' else ' are as before' end as title,
        substring(moments.differences, 1, 300) as detail,
        moments.unique_id as node_id,
        nodes.owner,
        {{ json_object({'path': 'nodes.path', 'differences': 'moments.differences'}) }} as evidence
    from moments
    left join nodes
        on
            moments.project = nodes.project
            and moments.environment = nodes.environment
            and moments.unique_id = nodes.node_id

)

{{ signal_columns('observed') }}
