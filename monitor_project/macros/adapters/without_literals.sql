{#- Documented in ../_macros.yml. -#}
{% macro without_literals(text) -%}
    {{ adapter.dispatch('without_literals', 'monitor')(text) }}
{%- endmacro %}

{% macro default__without_literals(text) -%}
    regexp_replace({{ text }}, '''[^'']*''', '''...''', 'g')
{%- endmacro %}
