{#- Documented in _macros.yml. -#}
{% macro has_any_text(text, parts) -%}
    (
        {%- for part in parts %}
        position({{ text_literal(part) }} in lower(coalesce({{ text }}, ''))) > 0{{ ' or' if not loop.last }}
        {%- endfor %}
    )
{%- endmacro %}
