-- Ingredients cost between a twentieth and two thirds of the net price.
select product_code, margin
from {{ ref('product_margins') }}
where margin is null or margin not between 0.34 and 0.95
