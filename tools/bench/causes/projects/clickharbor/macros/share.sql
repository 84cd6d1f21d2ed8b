{% macro share(part, whole) -%}
    round({{ part }} / nullif({{ whole }}, 0)::double, 4)
{%- endmacro %}
