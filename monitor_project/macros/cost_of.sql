{#- Documented in _macros.yml. -#}
{% macro cost_of(bytes_processed, slot_milliseconds) -%}
    {%- if var('price_per_tebibyte') or var('price_per_slot_hour') -%}
    ({{ var('price_per_tebibyte') }} * coalesce({{ bytes_processed }}, 0) / 1099511627776.0
    + {{ var('price_per_slot_hour') }} * coalesce({{ slot_milliseconds }}, 0) / 3600000.0)
    {%- else -%}
    cast(null as double)
    {%- endif -%}
{%- endmacro %}
