{#- Documented in _macros.yml. -#}
{% macro strictest_cadences() -%}
    (
        select *
        from (
            select
                *,
                row_number() over (
                    partition by project, environment, command, selection, due_time
                    order by every_hours, grace_hours, days, since, timezone, coalesce(calendar, '')
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

{% macro due_time_of(alert_settings) -%}
    nullif(coalesce(
        -- YAML reads 16:30 without quotes as 990.
        case
            when {{ json_text(alert_settings, 'due_time') }} similar to '1?[0-9]{1,3}' and cast({{ json_text(alert_settings, 'due_time') }} as bigint) < 1440
                then
                    cast(cast(floor(cast({{ json_text(alert_settings, 'due_time') }} as bigint) / 60) as bigint) as {{ dbt.type_string() }})
                    || ':' || right('0' || cast(cast({{ json_text(alert_settings, 'due_time') }} as bigint) % 60 as {{ dbt.type_string() }}), 2)
        end,
        {{ json_text(alert_settings, 'due_time') }}
    ), '')
{%- endmacro %}

{% macro cron_of(due_time) -%}
    case
        when {{ seconds_of_day(due_time) }} is not null
            then {{ dbt.split_part(due_time, "':'", 2) }} || ' ' || {{ dbt.split_part(due_time, "':'", 1) }} || ' * * *'
        when lower({{ due_time }}) similar to '([0-9*/-]+,)*[0-9*/-]+( ([0-9*/-]+,)*[0-9*/-]+){2}( ([0-9a-z*/-]+,)*[0-9a-z*/-]+){2}'
            then lower({{ due_time }})
    end
{%- endmacro %}

{% macro weekdays_of(days) -%}
    case
        when lower({{ days }}) similar to '.*(mon|tue|wed|thu|fri|sat|sun).*' then lower({{ days }})
        else ''
    end
{%- endmacro %}
