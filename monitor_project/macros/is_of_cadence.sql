{#- Documented in _macros.yml. -#}
{% macro is_of_cadence(command_line, cadences) -%}
    {#- Flags and lists may be written with = and commas. -#}
    {%- set words = "' ' || translate(" ~ command_line ~ ", '=,', '  ') || ' '" -%}
    {%- set selection = "' ' || translate(" ~ cadences ~ ".selection, '=,', '  ') || ' '" -%}
    (
        ({{ cadences }}.command is null or position(' ' || {{ cadences }}.command || ' ' in {{ words }}) > 0)
        and (
            {{ cadences }}.selection is null
            or (position({{ selection }} in {{ words }}) > 0 and position('--exclude' || {{ selection }} in {{ words }}) = 0)
        )
    )
{%- endmacro %}
