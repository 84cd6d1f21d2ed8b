select
    channel_group,
    count(*) as campaigns,
    sum(visits) as visits,
    sum(revenue_usd) as revenue_usd,
    sum(cost_usd) as cost_usd,
    {{ share('sum(cost_usd)', 'sum(budget_usd)') }} as budget_used
from {{ ref('campaign_performance') }}
group by channel_group
