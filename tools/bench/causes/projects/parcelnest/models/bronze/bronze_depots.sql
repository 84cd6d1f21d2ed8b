select depot_id, city, daily_capacity, depot_kind, changed_at
from {{ source('landing', 'depots') }}
