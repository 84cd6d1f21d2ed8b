-- Every purchase of a real visitor is in the campaign report.
with sold as (
    select round(sum(revenue_usd), 1) as usd from {{ ref('purchases') }}
),
reported as (
    select round(sum(revenue_usd), 1) as usd from {{ ref('campaign_performance') }}
)
select sold.usd as sold, reported.usd as reported
from sold, reported
where abs(sold.usd - reported.usd) > 1
