{#- Documented in _macros.yml. -#}
{% macro words_in(text) -%}
    ' ' || regexp_replace(lower({{ text }}), '[^a-z0-9_]+', ' ', 'g') || ' '
{%- endmacro %}
