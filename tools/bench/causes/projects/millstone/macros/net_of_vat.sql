{% macro net_of_vat(gross) -%}
    round({{ gross }} / (1 + {{ var('vat_percent') }} / 100.0), 2)
{%- endmacro %}
