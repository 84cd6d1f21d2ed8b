with visits as (
    select campaign_code, count(*) as visits, sum(purchases) as purchases
    from {{ ref('visits') }}
    group by campaign_code
),

sales as (
    select visits.campaign_code, sum(purchases.revenue_usd) as revenue_usd
    from {{ ref('purchases') }} as purchases
    inner join {{ ref('visits') }} as visits on purchases.session_id = visits.session_id
    group by visits.campaign_code
),

costs as (
    select campaign_code, sum(cost_usd) as cost_usd
    from {{ ref('ad_costs_cleaned') }}
    group by campaign_code
)

select
    campaigns.campaign_code,
    campaigns.campaign_title,
    campaigns.channel_group,
    campaigns.budget_usd,
    coalesce(visits.visits, 0) as visits,
    coalesce(visits.purchases, 0) as purchases,
    sales.revenue_usd,
    costs.cost_usd,
    {{ share('visits.purchases', 'visits.visits') }} as conversion
from {{ ref('campaigns_cleaned') }} as campaigns
left join visits on campaigns.campaign_code = visits.campaign_code
left join sales on campaigns.campaign_code = sales.campaign_code
left join costs on campaigns.campaign_code = costs.campaign_code
