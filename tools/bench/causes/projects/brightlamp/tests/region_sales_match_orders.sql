-- The monthly sheet and the fact table describe the same revenue.
with sheet as (select sum(revenue_eur) as total from {{ ref('agg_region_sales') }}),
facts as (select sum(order_total_eur) as total from {{ ref('fct_orders') }})
select sheet.total as sheet_total, facts.total as facts_total
from sheet, facts
where abs(sheet.total - facts.total) > 1
