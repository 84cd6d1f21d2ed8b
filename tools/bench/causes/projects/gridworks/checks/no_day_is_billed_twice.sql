-- A meter has one billed day for each day between the first and the last one.
select customer_id, billed_days, meters, first_day, last_day
from {{ ref('bills', v=2) }}
where billed_days > meters * (last_day - first_day + 1)
