{% macro wh_to_kwh(column) %}({{ column }} / 1000.0){% endmacro %}
