select * exclude (_loaded_at)
from {{ source('raw', 'products') }}
