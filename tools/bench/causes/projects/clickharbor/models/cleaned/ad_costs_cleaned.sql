select campaign_code, cost_date, cost_usd, clicks
from {{ source('platform', 'ad_costs') }}
