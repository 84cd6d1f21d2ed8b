select *
from {{ source('files', 'tariffs') }}
