{{ config(
    materialized='external',
    format='parquet',
    location=env_var('PRICE_LIST_FILE', 'exports/price_list.parquet')
) }}

select product_code, product_name, list_price, margin >= {{ var('lowest_margin') }} as may_be_discounted
from {{ ref('product_margins') }}
