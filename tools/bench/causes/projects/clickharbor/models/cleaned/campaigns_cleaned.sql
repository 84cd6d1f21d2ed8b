select
    campaigns.campaign_code,
    campaigns.campaign_title,
    campaigns.budget_usd,
    groups.channel_group,
    groups.is_paid
from {{ source('platform', 'campaigns') }} as campaigns
left join {{ ref('channel_groups') }} as groups on campaigns.channel = groups.channel
