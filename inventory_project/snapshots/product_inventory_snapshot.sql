{% snapshot product_inventory_snapshot %}

{{
    config(
        strategy='check',
        unique_key='product_id',
        check_cols=['inventory'],
        updated_at='counted_at',
        hard_deletes='ignore'
    )
}}

with

products as (

    select * from {{ ref('stg_greenery__products') }}

),

-- Only counts later than the product's latest one in the snapshot are added, so that loading a count again does not close its own row.
-- An extract older than the latest count in the snapshot adds nothing.
{% set known = adapter.get_relation(this.database, this.schema, this.identifier) if execute else none %}
known as (

    {% if known is none %}
    select
        cast(null as {{ dbt.type_string() }}) as product_id,
        cast(null as {{ dbt.type_timestamp() }}) as counted_at
    {% else %}
    select
        product_id,
        max(dbt_valid_from) as counted_at
    from {{ this }}
    group by product_id
    {% endif %}

),

latest_known as (

    select max(counted_at) as counted_at from known

),

latest_count as (

    select max(counted_at) as counted_at from products

),

final as (

    select
        products.product_id,
        -- The columns of the published queries.
        products.product_name as name,
        products.inventory_count as inventory,
        products.counted_at
    from products
    cross join latest_known
    cross join latest_count
    left join known
        on products.product_id = known.product_id
    where
        (latest_known.counted_at is null or latest_count.counted_at >= latest_known.counted_at)
        and (known.counted_at is null or products.counted_at > known.counted_at)

)

select * from final

{% endsnapshot %}
