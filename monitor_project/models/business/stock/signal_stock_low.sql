-- Products that run out of stock within stock_low_days at their recent rate of decrease.
with

forecasts as (

    select * from {{ ref('fct_stock_forecasts') }}

),

counts as (

    select
        *,
        coalesce(inventory_count > 0 and days_left < {{ var('stock_low_days') }}, false) as is_low
    from forecasts

),

sequenced as (

    select
        *,
        lag(is_low) over (
            partition by project, environment, product_id
            order by counted_at
        ) as was_low
    from counts

),

-- A low product that runs out stays bad. A product that runs out without being low first is left to signal_stockout.
judged as (

    select
        *,
        is_low or (inventory_count <= 0 and coalesce(was_low, false)) as is_bad_now,
        -- A count holds until the next one, or as long as the product was seen in the snapshot.
        coalesce(
            lead(counted_at) over (
                partition by project, environment, product_id
                order by counted_at
            ),
            case when is_still_sold then last_observed_at else counted_at end
        ) as held_until
    from sequenced

),

moments as (

    select
        *,
        counted_at as observed_at,
        is_bad_now as is_bad
    from judged

    union all

    -- The latest observation of the snapshot: null for a product that is no longer in it, which closes its incident.
    select
        *,
        last_observed_at as observed_at,
        case when is_still_sold then is_bad_now end as is_bad
    from judged
    where
        is_latest
        and counted_at < last_observed_at

),

nodes as (

    select * from {{ ref('dim_nodes') }}

),

observed as (

    select
        {{ surrogate_key(["'stock_low'", 'moments.project', 'moments.environment', 'moments.product_id']) }} as signal_key,
        'stock_low' as kind,
        moments.project,
        moments.environment,
        moments.observed_at,
        moments.held_until,
        cast(null as {{ dbt.type_string() }}) as invocation_id,
        moments.is_bad,
        'warning' as severity,
        moments.product_name || case when moments.is_bad then ' is low' else ' is not low' end as title,
        cast(moments.inventory_count as {{ dbt.type_string() }}) || ' left, enough for '
        || cast(round(cast(least(moments.days_left, 1000000000) as decimal(18, 4)), 1) as {{ dbt.type_string() }}) || ' days at '
        || cast(round(cast(least(moments.mean_daily_fall, 10000000000000) as decimal(18, 4)), 1) as {{ dbt.type_string() }}) || ' a day' as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        nodes.owner,
        {{ json_object({
            'product_id': 'moments.product_id',
            'inventory_count': 'moments.inventory_count',
            'days_left': 'moments.days_left',
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
