{#- Documented in _macros.yml. -#}
{% macro text_literal(text) -%}
    {%- if text -%}
        '{{ text | replace("'", "''") }}'
    {%- else -%}
        cast(null as {{ dbt.type_string() }})
    {%- endif -%}
{%- endmacro %}
