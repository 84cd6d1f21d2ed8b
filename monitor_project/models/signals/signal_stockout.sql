-- Products without stock, from the observed inventory snapshot. Each version of a product is an observation at the time of its
-- count; the latest look observes once more what holds now, and what is no longer there.
with

versions as (

    select * from {{ ref('stg_history__observed_product_inventory_snapshot') }}

),

looks as (

    select
        project,
        environment,
        sha256 as content_hash,
        collected_at,
        row_number() over (
            partition by project, environment
            order by collected_at desc, sha256 desc
        ) as newest_number
    from {{ ref('stg_history__artifact_verdicts') }}
    where
        kind = 'observed_product_inventory_snapshot'
        and verdict in ('accepted', 'duplicate')
        and collected_at <= {{ as_of() }}

),

newest_look as (

    select * from looks
    where newest_number = 1

),

nodes as (

    select * from {{ ref('dim_nodes') }}

),

-- A version is the same in all contents that hold it.
distinct_versions as (

    select
        versions.project,
        versions.environment,
        versions.product_id,
        versions.dbt_valid_from,
        max(versions.product_name) as product_name,
        max(versions.inventory_count) as inventory_count
    from versions
    inner join looks
        on
            versions.project = looks.project
            and versions.environment = looks.environment
            and versions.content_hash = looks.content_hash
    group by
        versions.project,
        versions.environment,
        versions.product_id,
        versions.dbt_valid_from

),

sequenced as (

    select
        *,
        lag(inventory_count) over (
            partition by project, environment, product_id
            order by dbt_valid_from
        ) as prior_inventory_count,
        row_number() over (
            partition by project, environment, product_id
            order by dbt_valid_from desc
        ) as latest_number
    from distinct_versions

),

current_products as (

    select
        versions.project,
        versions.environment,
        versions.product_id
    from versions
    inner join newest_look
        on
            versions.project = newest_look.project
            and versions.environment = newest_look.environment
            and versions.content_hash = newest_look.content_hash
    where versions.dbt_valid_to is null

),

moments as (

    select
        project,
        environment,
        product_id,
        product_name,
        inventory_count,
        prior_inventory_count,
        dbt_valid_from,
        dbt_valid_from as observed_at,
        inventory_count <= 0 as is_bad
    from sequenced

    union all

    -- What the latest look saw: null for a product that is gone, which closes its incident.
    select
        sequenced.project,
        sequenced.environment,
        sequenced.product_id,
        sequenced.product_name,
        sequenced.inventory_count,
        sequenced.prior_inventory_count,
        sequenced.dbt_valid_from,
        newest_look.collected_at as observed_at,
        case when current_products.product_id is not null then sequenced.inventory_count <= 0 end as is_bad
    from sequenced
    inner join newest_look
        on
            sequenced.project = newest_look.project
            and sequenced.environment = newest_look.environment
            and sequenced.dbt_valid_from < newest_look.collected_at
    left join current_products
        on
            sequenced.project = current_products.project
            and sequenced.environment = current_products.environment
            and sequenced.product_id = current_products.product_id
    where sequenced.latest_number = 1

),

observed as (

    select
        {{ surrogate_key(["'stockout'", 'moments.project', 'moments.environment', 'moments.product_id']) }} as signal_key,
        'stockout' as kind,
        moments.project,
        moments.environment,
        moments.observed_at,
        cast(null as {{ dbt.type_string() }}) as invocation_id,
        moments.is_bad,
        'error' as severity,
        moments.product_name || case when moments.inventory_count <= 0 then ' is out of stock' else ' is in stock' end as title,
        case
            when moments.prior_inventory_count is not null
                then cast(moments.prior_inventory_count as {{ dbt.type_string() }}) || ' at the count before, now '
            else 'now '
        end || cast(moments.inventory_count as {{ dbt.type_string() }}) as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        nodes.owner,
        {{ json_object({
            'product_id': 'moments.product_id',
            'inventory_count': 'moments.inventory_count',
            'prior_inventory_count': 'moments.prior_inventory_count',
            'counted_at': 'cast(moments.dbt_valid_from as ' ~ dbt.type_string() ~ ')'
        }) }} as evidence
    from moments
    left join nodes
        on
            moments.project = nodes.project
            and moments.environment = nodes.environment
            and nodes.node_id = 'snapshot.' || moments.project || '.product_inventory_snapshot'

),

final as (

    select
        signal_key,
        kind,
        project,
        environment,
        observed_at,
        invocation_id,
        is_bad,
        severity,
        cast(substring(title, 1, 120) as varchar) as title,
        detail,
        node_id,
        owner,
        evidence
    from observed

)

select * from final
