{#- Documented in ../_macros.yml. -#}
{% macro as_of() -%}
    {#- Not read while dbt parses: it would parse all models again in each run, since the instant is another one. -#}
    {%- set instant = (env_var('OFFDAG_AS_OF', '') or run_started_at.strftime('%Y-%m-%d %H:%M:%S.%f')) if execute -%}
    {{ return(adapter.dispatch('as_of', 'monitor')(instant)) }}
{%- endmacro %}

{% macro default__as_of(instant) -%}
    cast({{ "'" ~ instant ~ "'" if instant else 'null' }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{#- A variable of DuckDB, and not a literal: the same compiled text serves every run. offdag.monitor.plan sets given_as_of. -#}
{% macro duckdb__as_of(instant) -%}
    {%- if instant -%}
        {%- do run_query("set variable as_of = coalesce(getvariable('given_as_of'), '" ~ instant ~ "')") -%}
    {%- endif -%}
    cast(getvariable('as_of') as timestamp)
{%- endmacro %}
