select * exclude (extracted_at)
from {{ source('landing', 'scans') }}
