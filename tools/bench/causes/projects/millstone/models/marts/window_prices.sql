{{ config(
    post_hook={
        'sql': 'create or replace table shopwindow.main.prices as select * from {{ this }}',
        'transaction': false
    }
) }}

select product_name, kind, list_price
from {{ ref('product_margins') }}
where margin is not null
