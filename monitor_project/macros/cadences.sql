{#- Documented in _macros.yml. -#}
{% macro strictest_cadences() -%}
    (
        select *
        from (
            select
                *,
                row_number() over (
                    partition by project, environment, command, selection, due_time
                    order by every_hours, grace_hours, days, since, timezone
                ) as alike_number
            from {{ ref('run_cadences') }}
        ) as numbered
        where alike_number = 1
    )
{%- endmacro %}

{% macro seconds_of_day(time) -%}
    case
        when {{ time }} similar to '([01]?[0-9]|2[0-3]):[0-5][0-9]'
            then cast({{ dbt.split_part(time, "':'", 1) }} as bigint) * 3600 + cast({{ dbt.split_part(time, "':'", 2) }} as bigint) * 60
    end
{%- endmacro %}
