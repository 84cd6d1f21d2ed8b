{% macro grams_to_kg(column) -%}
round({{ column }} / 1000.0, 3)
{%- endmacro %}
