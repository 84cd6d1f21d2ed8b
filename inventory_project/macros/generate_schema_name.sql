{#- Each target has its own database, so schemas need no prefix: staging, marts, snapshots. -#}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
