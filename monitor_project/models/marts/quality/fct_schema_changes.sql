-- A relation's columns in the catalog or in its contract, compared with the previous catalog or contract. Where a contract is enforced the
-- catalog is not compared, so that a change is not reported twice.
with

commands as (

    select * from {{ ref('stg_history__catalogs') }}
    where generated_at <= {{ as_of() }}

),

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
    from commands

),

catalog_columns as (

    select * from {{ ref('stg_history__catalog_columns') }}

),

contents as (

    select
        project,
        environment,
        node_id,
        columns,
        has_contract,
        first_invocation_id as invocation_id,
        valid_from_at,
        valid_to_at,
        lag(columns) over (
            partition by project, environment, node_id
            order by valid_from_at
        ) as prior_columns,
        lag(has_contract) over (
            partition by project, environment, node_id
            order by valid_from_at
        ) as had_contract
    from {{ ref('dim_node_history') }}

),

contracts as (

    select * from contents
    where
        has_contract
        and had_contract
        and columns != prior_columns

),

-- The current and the previous columns, unioned.
sides as (

    select
        catalogs.project,
        catalogs.environment,
        catalogs.invocation_id,
        catalogs.generated_at as changed_at,
        'catalog' as reported_by,
        catalog_columns.unique_id as node_id,
        catalog_columns.column_name,
        catalog_columns.data_type,
        case when catalog_columns.catalog_hash = catalogs.catalog_hash then 1 else 0 end as is_now
    from catalogs
    inner join catalog_columns
        on
            catalogs.project = catalog_columns.project
            and (catalogs.catalog_hash = catalog_columns.catalog_hash or catalogs.prior_catalog_hash = catalog_columns.catalog_hash)
    left join contents
        on
            catalogs.project = contents.project
            and catalogs.environment = contents.environment
            and catalog_columns.unique_id = contents.node_id
            and contents.has_contract
            and catalogs.generated_at >= contents.valid_from_at
            and (contents.valid_to_at is null or catalogs.generated_at < contents.valid_to_at)
    where
        catalogs.prior_catalog_hash != catalogs.catalog_hash
        and contents.node_id is null

    {%- for column, is_now in {'columns': 1, 'prior_columns': 0}.items() %}

    union all

    select
        project,
        environment,
        invocation_id,
        valid_from_at as changed_at,
        'contract' as reported_by,
        node_id,
        entry_key as column_name,
        entry_value as data_type,
        {{ is_now }} as is_now
    from {{ json_entries('contracts', column) }} as entries_{{ is_now }}
    {%- endfor %}

),

{%- set change = 'project, environment, invocation_id, changed_at, reported_by, node_id' %}

-- Only relations on both sides: a new or removed relation is not a change of its columns.
common as (

    select
        *,
        min(is_now) over (partition by {{ change }}) as first_side,
        max(is_now) over (partition by {{ change }}) as last_side
    from sides

),

columns as (

    select
        {{ change }},
        column_name,
        case
            when min(is_now) = 1 then 'added '
            when max(is_now) = 0 then 'removed '
            else 'retyped '
        end || column_name as difference
    from common
    where first_side != last_side
    group by {{ change }}, column_name
    having
        min(is_now) = max(is_now)
        or min(lower(data_type)) != max(lower(data_type))

),

final as (

    select
        {{ surrogate_key(['project', 'environment', 'invocation_id', 'reported_by', 'node_id']) }} as schema_change_id,
        project,
        environment,
        node_id,
        invocation_id,
        changed_at,
        reported_by,
        count(*) as column_count,
        {{ dbt.listagg('difference', "', '", 'order by difference') }} as differences
    from columns
    group by {{ change }}

)

select * from final
