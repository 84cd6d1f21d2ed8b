{#- Documented in _macros.yml. -#}
{% macro has_any_word(text, words) -%}
    {%- set parts = [] -%}
    {%- for word in words -%}
        {%- do parts.append(' ' ~ word ~ ' ') -%}
    {%- endfor -%}
    {{ has_any_text(text, parts) }}
{%- endmacro %}
