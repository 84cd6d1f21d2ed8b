{#- Documented in ../_macros.yml. -#}
{% macro json_object(columns) -%}
    {{ adapter.dispatch('json_object', 'monitor')(columns) }}
{%- endmacro %}

{% macro duckdb__json_object(columns) -%}
    cast(json_object({% for key, column in columns.items() %}'{{ key }}', {{ column }}{{ ', ' if not loop.last }}{% endfor %}) as varchar)
{%- endmacro %}

{% macro postgres__json_object(columns) -%}
    cast(json_build_object({% for key, column in columns.items() %}'{{ key }}', {{ column }}{{ ', ' if not loop.last }}{% endfor %}) as varchar)
{%- endmacro %}
