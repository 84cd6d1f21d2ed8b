-- A bakery cannot sell more pieces on a day than its oven bakes.
select days.bakery_code, days.sold_on, days.pieces
from {{ ref('bakery_days') }} as days
inner join {{ ref('raw_bakeries') }} as bakeries on days.bakery_code = bakeries.bakery_code
where days.pieces > bakeries.oven_pieces_per_day
