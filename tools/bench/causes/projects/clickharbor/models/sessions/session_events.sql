select
    anonymous_id || '#' || session_no as session_id,
    *
from {{ ref('events_numbered') }}
