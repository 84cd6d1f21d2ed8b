{{ config(
    materialized='external',
    location=env_var('AUDIENCE_FILE', 'exports/audience.csv')
) }}

select distinct visits.anonymous_id, campaigns.channel_group
from {{ ref('visits') }} as visits
inner join {{ ref('campaigns_cleaned') }} as campaigns on visits.campaign_code = campaigns.campaign_code
where visits.purchases > 0
