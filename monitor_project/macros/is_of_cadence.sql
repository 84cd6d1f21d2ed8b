{#- Documented in _macros.yml. -#}
{% macro is_of_cadence(command_line, cadences) -%}
    (
        ({{ cadences }}.command is null or ' ' || {{ command_line }} || ' ' like '% ' || {{ cadences }}.command || ' %')
        and ({{ cadences }}.selection is null or {{ command_line }} like '%' || {{ cadences }}.selection || '%')
    )
{%- endmacro %}
