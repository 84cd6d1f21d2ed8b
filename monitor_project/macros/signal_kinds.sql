{#- Documented in _macros.yml. -#}
{% macro signal_kinds() -%}
    {%- set kinds = var('signal_kinds') | list -%}
    {%- set table_of_kind = var('business_signal_kinds') -%}
    {%- set observed_tables = env_var('OFFDAG_OBSERVED_TABLES', 'product_inventory_snapshot').split('|') -%}
    {%- for kind in table_of_kind if table_of_kind[kind] in observed_tables -%}
        {%- do kinds.append(kind) -%}
    {%- endfor -%}
    {{ return(kinds) }}
{%- endmacro %}
