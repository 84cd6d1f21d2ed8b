{#- Documented in _macros.yml. -#}
{% macro text_list(texts) -%}
    {% for text in texts %}'{{ text | replace("'", "''") }}'{{ ', ' if not loop.last }}{% endfor %}
{%- endmacro %}
