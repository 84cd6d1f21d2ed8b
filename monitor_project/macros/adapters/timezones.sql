{#- Documented in ../_macros.yml. -#}
{% macro local_time(instant, timezone) -%}
    cast(cast({{ instant }} as {{ dbt.type_timestamp() }}) at time zone 'UTC' at time zone {{ timezone }} as {{ dbt.type_timestamp() }})
{%- endmacro %}

{% macro instant_of(local_time, timezone) -%}
    cast(cast({{ local_time }} as {{ dbt.type_timestamp() }}) at time zone {{ timezone }} at time zone 'UTC' as {{ dbt.type_timestamp() }})
{%- endmacro %}

{% macro known_timezones() -%}
    {{ adapter.dispatch('known_timezones', 'monitor')() }}
{%- endmacro %}

{% macro default__known_timezones() -%}
    (select name from pg_timezone_names)
{%- endmacro %}

{% macro duckdb__known_timezones() -%}
    (select name from pg_timezone_names())
{%- endmacro %}
