{#- Documented in _macros.yml. -#}
{% macro selects_star(code) -%}
    {{ has_any_word(code, ['select *', '. *', ', *']) }}
{%- endmacro %}
