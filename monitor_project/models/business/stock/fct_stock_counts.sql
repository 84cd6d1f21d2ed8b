with

versions as (

    select * from {{ ref('stg_history__observed_product_inventory_snapshot') }}

),

observations as (

    select * from {{ ref('fct_observations') }}
    where observed_table = 'observed_product_inventory_snapshot'

),

newest_observations as (

    select * from observations
    where is_newest

),

contents as (

    select
        project,
        environment,
        content_hash,
        max(observed_at) as last_observed_at
    from observations
    group by project, environment, content_hash

),

-- If several observed contents have the same count of a product, the last observed one is used: it may be a correction. Null counts are ignored.
numbered_versions as (

    select
        versions.project,
        versions.environment,
        versions.product_id,
        coalesce(versions.product_name, versions.product_id) as product_name,
        versions.dbt_valid_from as counted_at,
        versions.inventory_count,
        row_number() over (
            partition by versions.project, versions.environment, versions.product_id, versions.dbt_valid_from
            order by contents.last_observed_at desc, versions.dbt_valid_to desc, contents.content_hash asc
        ) as content_number
    from versions
    inner join contents
        on
            versions.project = contents.project
            and versions.environment = contents.environment
            and versions.content_hash = contents.content_hash
    where versions.inventory_count is not null

),

distinct_versions as (

    select
        project,
        environment,
        product_id,
        product_name,
        counted_at,
        inventory_count
    from numbered_versions
    where content_number = 1

),

current_products as (

    select
        versions.project,
        versions.environment,
        versions.product_id
    from versions
    inner join newest_observations
        on
            versions.project = newest_observations.project
            and versions.environment = newest_observations.environment
            and versions.content_hash = newest_observations.content_hash
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
        newest_observations.observed_at as last_observed_at
    from sequenced
    inner join newest_observations
        on
            sequenced.project = newest_observations.project
            and sequenced.environment = newest_observations.environment
    left join current_products
        on
            sequenced.project = current_products.project
            and sequenced.environment = current_products.environment
            and sequenced.product_id = current_products.product_id

)

select * from final
