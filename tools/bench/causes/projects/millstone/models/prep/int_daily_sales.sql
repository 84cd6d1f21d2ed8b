select
    bakery_code,
    product_code,
    sold_on,
    sum(pieces) as pieces,
    {{ net_of_vat('sum(pieces * unit_price)') }} as net_revenue
from {{ ref('stg_sales') }}
group by bakery_code, product_code, sold_on
