{#- Documented in _macros.yml. -#}
{% macro is_whole_command(command_line) -%}
    (
        {%- for flag in [' -s ', ' -m ', ' --select', ' --model'] %}
        {{ 'and ' if not loop.first }}position('{{ flag }}' in {{ command_line }}) = 0
        {%- endfor %}
    )
{%- endmacro %}
