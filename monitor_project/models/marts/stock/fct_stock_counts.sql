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

newest_looks as (

    select * from looks
    where newest_number = 1

),

-- A version is the same in all contents that hold it.
distinct_versions as (

    select
        versions.project,
        versions.environment,
        versions.product_id,
        versions.dbt_valid_from as counted_at,
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

current_products as (

    select
        versions.project,
        versions.environment,
        versions.product_id
    from versions
    inner join newest_looks
        on
            versions.project = newest_looks.project
            and versions.environment = newest_looks.environment
            and versions.content_hash = newest_looks.content_hash
    where versions.dbt_valid_to is null

),

sequenced as (

    select
        *,
        lag(inventory_count) over (
            partition by project, environment, product_id
            order by counted_at
        ) as prior_inventory_count,
        row_number() over (
            partition by project, environment, product_id
            order by counted_at desc
        ) as latest_number
    from distinct_versions

),

final as (

    select
        {{ surrogate_key([
            'sequenced.project', 'sequenced.environment', 'sequenced.product_id', 'sequenced.counted_at'
        ]) }} as stock_count_id,
        sequenced.project,
        sequenced.environment,
        sequenced.product_id,
        sequenced.product_name,
        sequenced.counted_at,
        sequenced.inventory_count,
        sequenced.prior_inventory_count,
        sequenced.latest_number = 1 as is_latest,
        current_products.product_id is not null as is_still_sold,
        newest_looks.collected_at as last_looked_at
    from sequenced
    inner join newest_looks
        on
            sequenced.project = newest_looks.project
            and sequenced.environment = newest_looks.environment
    left join current_products
        on
            sequenced.project = current_products.project
            and sequenced.environment = current_products.environment
            and sequenced.product_id = current_products.product_id

)

select * from final
