{#- Documented in ../_macros.yml. -#}
{% macro without_literals(text) -%}
    {{ adapter.dispatch('without_literals', 'monitor')(text) }}
{%- endmacro %}

{% macro default__without_literals(text) -%}
    regexp_replace(
        regexp_replace(regexp_replace({{ text }}, '''[^'']*''', '''...''', 'g'), '"[^"]*"', '"..."', 'g'), '[0-9]{4,}', '...', 'g'
    )
{%- endmacro %}
