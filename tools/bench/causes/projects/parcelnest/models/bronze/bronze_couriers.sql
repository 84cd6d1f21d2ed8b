select courier_id, badge, depot_id, vehicle, changed_at
from {{ source('landing', 'couriers') }}
