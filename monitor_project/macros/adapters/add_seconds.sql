{#- Documented in ../_macros.yml. -#}
{% macro add_seconds(instant, seconds) -%}
    {{ adapter.dispatch('add_seconds', 'monitor')(instant, seconds) }}
{%- endmacro %}

{% macro default__add_seconds(instant, seconds) -%}
    ({{ instant }} + ({{ seconds }}) * interval '1 second')
{%- endmacro %}

{% macro duckdb__add_seconds(instant, seconds) -%}
    ({{ instant }} + to_seconds(cast({{ seconds }} as bigint)))
{%- endmacro %}
