with fluctuations as (
    select
        name
        , abs(lag(inventory) over (partition by product_id order by dbt_updated_at) - inventory) as inventory_fluctuation
    from product_inventory_snapshot
    order by name, dbt_updated_at
)

select
    name
    , sum(inventory_fluctuation) as total_inventory_fluctuation
from fluctuations
group by 1
having total_inventory_fluctuation is not null
order by 2 desc
