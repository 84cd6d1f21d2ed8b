{#- Documented in _macros.yml. -#}
{% macro is_whole_project(selection) -%}
    coalesce({{ selection }} not like '%"select"%' and {{ selection }} not like '%"selector"%', true)
{%- endmacro %}
