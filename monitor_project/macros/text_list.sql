{#- Documented in _macros.yml. -#}
{% macro text_list(texts) -%}
    {#- An empty list is no SQL: nothing is in this one. -#}
    {% for text in texts or [''] %}'{{ text | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}
