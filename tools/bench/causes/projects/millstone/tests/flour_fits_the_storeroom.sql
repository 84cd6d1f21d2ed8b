select bakery_code, sum(bags) as bags
from {{ ref('flour_orders') }}
group by bakery_code
having sum(bags) > 12 or sum(bags) < 2
