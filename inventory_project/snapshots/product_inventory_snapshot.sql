{% snapshot product_inventory_snapshot %}

{{
    config(
        strategy='check',
        unique_key='product_id',
        check_cols=['inventory_count'],
        updated_at='counted_at',
        hard_deletes='ignore'
    )
}}

with

products as (

    select * from {{ ref('stg_greenery__products') }}

),

-- An older count loaded again must not close a newer one: only counts at or after the latest known go in.
latest_known as (

    {% set known = adapter.get_relation(this.database, this.schema, this.identifier) if execute else none %}
    {% if known is none %}
    select cast(null as {{ dbt.type_timestamp() }}) as counted_at
    {% else %}
    select max(dbt_valid_from) as counted_at from {{ this }}
    {% endif %}

),

final as (

    select
        products.product_id,
        products.product_name,
        products.inventory_count,
        products.counted_at
    from products
    cross join latest_known
    where latest_known.counted_at is null or products.counted_at >= latest_known.counted_at

)

select * from final

{% endsnapshot %}
