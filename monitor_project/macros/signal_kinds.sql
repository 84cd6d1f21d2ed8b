{#- Documented in _macros.yml. -#}
{% macro signal_kinds() -%}
    {%- set kinds = modelled_signal_kinds() | reject('equalto', 'business_check') | list -%}
    {{ return(kinds + (var('business_checks') | map(attribute='check_name') | list)) }}
{%- endmacro %}

{#- Documented in _macros.yml. -#}
{% macro modelled_signal_kinds() -%}
    {%- set kinds = (var('signal_kinds') | list) + (var('own_signal_kinds') | list) -%}
    {%- set table_of_kind = var('business_signal_kinds') -%}
    {%- set observed_tables = env_var('OFFDAG_OBSERVED_TABLES', '').split('|') -%}
    {%- for kind in table_of_kind if table_of_kind[kind] in observed_tables -%}
        {%- do kinds.append(kind) -%}
    {%- endfor -%}
    {%- if var('business_checks') -%}
        {%- do kinds.append('business_check') -%}
    {%- endif -%}
    {{ return(kinds) }}
{%- endmacro %}
