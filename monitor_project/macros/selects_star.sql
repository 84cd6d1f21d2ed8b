{#- Documented in _macros.yml. -#}
{% macro selects_star(code) -%}
    (
        position(' select * ' in {{ code }}) > 0
        or position(' . * ' in {{ code }}) > 0
        or position(' , * ' in {{ code }}) > 0
    )
{%- endmacro %}
