-- The observations of all signals. A view, so that they are not stored twice.
{{ config(materialized='view') }}

{%- for kind in modelled_signal_kinds() %}
select * from {{ ref('signal_' ~ kind) }}
{{ 'union all' if not loop.last }}
{%- endfor %}
