{#- Documented in _macros.yml. -#}
{% macro title_expression(pattern) -%}
    {%- for part in pattern.split('{') -%}
        {%- if loop.first -%}
            '{{ part | replace("'", "''") }}'
        {%- else -%}
            {%- set expression, _, rest = part.partition('}') %} || coalesce(cast({{ expression }} as {{ dbt.type_string() }}), '<null>') || '{{ rest | replace("'", "''") }}'
        {%- endif -%}
    {%- endfor -%}
{%- endmacro %}
