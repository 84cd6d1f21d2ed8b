{#- Documented in _macros.yml. -#}
{% macro service_of(channel) -%}
    case
        when {{ dbt.split_part(channel, "':'", 1) }} in ({{ text_list(var('services')) }}) then {{ dbt.split_part(channel, "':'", 1) }}
        else ''
    end
{%- endmacro %}
