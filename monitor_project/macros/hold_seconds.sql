{#- Documented in _macros.yml. -#}
{% macro hold_seconds(hold_minutes) -%}
    coalesce({{ bounded('cast(' ~ hold_minutes ~ ' as double) * 60', 'threshold') }}, 0)
{%- endmacro %}
