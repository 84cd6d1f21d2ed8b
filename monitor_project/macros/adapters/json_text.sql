{#- Documented in ../_macros.yml. -#}
{% macro json_text(column, key) -%}
    {{ adapter.dispatch('json_text', 'monitor')(column, key) }}
{%- endmacro %}

{% macro duckdb__json_text(column, key) -%}
    (cast({{ column }} as json) ->> '$.{{ key }}')
{%- endmacro %}

{% macro postgres__json_text(column, key) -%}
    (cast({{ column }} as json) ->> '{{ key }}')
{%- endmacro %}
