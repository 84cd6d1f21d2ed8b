{#- Documented in _macros.yml. -#}
{% macro duration_text(seconds) -%}
    case
        when {{ seconds }} < 1.5 then 'a second'
        when {{ seconds }} < 90 then cast(cast(round({{ seconds }}) as bigint) as {{ dbt.type_string() }}) || ' seconds'
        when {{ seconds }} < 7200 then cast(cast(round({{ seconds }} / 60) as bigint) as {{ dbt.type_string() }}) || ' minutes'
        else cast(cast(round({{ seconds }} / 3600) as bigint) as {{ dbt.type_string() }}) || ' hours'
    end
{%- endmacro %}
