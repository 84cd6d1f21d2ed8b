{#- Documented in _macros.yml. -#}
{% macro is_of_cadence(command_line, cadences) -%}
    (
        ({{ cadences }}.command is null or position(' ' || {{ cadences }}.command || ' ' in ' ' || {{ command_line }} || ' ') > 0)
        and (
            {{ cadences }}.selection is null
            or (
                position(' ' || {{ cadences }}.selection || ' ' in ' ' || {{ command_line }} || ' ') > 0
                and position('--exclude ' || {{ cadences }}.selection || ' ' in {{ command_line }} || ' ') = 0
            )
        )
    )
{%- endmacro %}
