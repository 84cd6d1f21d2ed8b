{# The shop stores line prices as integer cents. #}
{% macro cents_to_units(column) -%}
    ({{ column }} / 100.0)::decimal(12, 2)
{%- endmacro %}
