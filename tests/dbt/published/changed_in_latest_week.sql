select name from product_inventory_snapshot where dbt_valid_to is not null and dbt_valid_to > current_date
