-- Products without stock, from the observed inventory snapshot. Each stock count of a product is an observation at the time of the
-- count. The latest observation of the snapshot adds one per product, with its current stock.
with

stock_counts as (

    select * from {{ ref('fct_stock_counts') }}

),

nodes as (

    select * from {{ ref('dim_nodes') }}

),

-- A count holds until the next one, or as long as the product was seen in the snapshot.
held as (

    select
        *,
        coalesce(
            lead(counted_at) over (
                partition by project, environment, product_id
                order by counted_at
            ),
            case when is_still_sold then last_observed_at else counted_at end
        ) as held_until
    from stock_counts

),

moments as (

    select
        *,
        counted_at as observed_at,
        inventory_count <= 0 as is_bad
    from held

    union all

    -- The latest observation of the snapshot: null for a product that is no longer in it, which closes its incident.
    select
        *,
        last_observed_at as observed_at,
        case when is_still_sold then inventory_count <= 0 end as is_bad
    from held
    where
        is_latest
        and counted_at < last_observed_at

),

observed as (

    select
        {{ surrogate_key(["'stockout'", 'moments.project', 'moments.environment', 'moments.product_id']) }} as signal_key,
        'stockout' as kind,
        moments.project,
        moments.environment,
        moments.observed_at,
        moments.held_until,
        cast(null as {{ dbt.type_string() }}) as invocation_id,
        moments.is_bad,
        'error' as severity,
        moments.product_name || case when moments.inventory_count <= 0 then ' is out of stock' else ' is in stock' end as title,
        case
            when moments.prior_inventory_count is not null
                then cast(moments.prior_inventory_count as {{ dbt.type_string() }}) || ' at the previous count, now '
            else 'now '
        end || cast(moments.inventory_count as {{ dbt.type_string() }}) as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        nodes.owner,
        {{ json_object({
            'product_id': 'moments.product_id',
            'inventory_count': 'moments.inventory_count',
            'prior_inventory_count': 'moments.prior_inventory_count',
            'counted_at': 'cast(moments.counted_at as ' ~ dbt.type_string() ~ ')'
        }) }} as evidence
    from moments
    left join nodes
        on
            moments.project = nodes.project
            and moments.environment = nodes.environment
            and nodes.node_id = 'snapshot.' || moments.project || '.product_inventory_snapshot'

)

{{ signal_columns('observed', 'held_until') }}
