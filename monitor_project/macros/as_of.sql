{#- Documented in _macros.yml. -#}
{% macro as_of() -%}
    cast('{{ env_var("OFFDAG_AS_OF", "") or run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}' as {{ dbt.type_timestamp() }})
{%- endmacro %}
