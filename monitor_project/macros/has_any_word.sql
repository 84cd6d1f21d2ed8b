{#- Documented in _macros.yml. -#}
{% macro has_any_word(text, words) -%}
    (
        {%- for word in words %}
        position(' {{ word }} ' in {{ text }}) > 0{{ ' or' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
