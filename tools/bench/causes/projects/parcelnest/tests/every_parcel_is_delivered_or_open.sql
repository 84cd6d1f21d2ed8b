with counted as (
    select
        (select sum(parcels) from {{ ref('gold_zone_service') }}) as parcels,
        (select sum(parcels) from {{ ref('gold_network_month') }})
            + (select count(*) from {{ ref('gold_open_parcels') }}) as delivered_or_open
)
select * from counted where parcels <> delivered_or_open
