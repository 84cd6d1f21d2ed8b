{#- Documented in _macros.yml. -#}
{% macro error_summary(message) -%}
    substring({{ without_literals(
        "trim(coalesce(nullif(" ~ dbt.split_part(message, "chr(10)", 2) ~ ", ''), " ~ dbt.split_part(message, "chr(10)", 1) ~ "))"
    ) }}, 1, 300)
{%- endmacro %}
