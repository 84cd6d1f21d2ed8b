-- No town loses money, and none keeps nearly all of its revenue.
select town, net_revenue, contribution
from {{ ref('town_results') }}
where contribution not between 0.4 * net_revenue and 0.9 * net_revenue
