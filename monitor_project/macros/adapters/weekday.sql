{#- Documented in ../_macros.yml. -#}
{% macro weekday(instant) -%}
    {{ adapter.dispatch('weekday', 'monitor')(instant) }}
{%- endmacro %}

{% macro default__weekday(instant) -%}
    lower(to_char({{ instant }}, 'Dy'))
{%- endmacro %}

{% macro duckdb__weekday(instant) -%}
    lower(substring(dayname({{ instant }}), 1, 3))
{%- endmacro %}
