{#- Documented in _macros.yml. -#}
{% macro as_of() -%}
    {#- Not read while dbt parses: it would parse all models again in each run, since the instant is another one. -#}
    cast({% if execute %}'{{ env_var("OFFDAG_AS_OF", "") or run_started_at.strftime("%Y-%m-%d %H:%M:%S.%f") }}'{% else %}null{% endif %} as {{ dbt.type_timestamp() }})
{%- endmacro %}
