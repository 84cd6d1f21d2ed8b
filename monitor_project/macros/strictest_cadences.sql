{#- Documented in _macros.yml. -#}
{% macro strictest_cadences() -%}
    (
        select *
        from (
            select
                *,
                row_number() over (
                    partition by project, environment, command, selection
                    order by every_hours, grace_hours, days, since
                ) as alike_number
            from {{ ref('run_cadences') }}
        ) as numbered
        where alike_number = 1
    )
{%- endmacro %}
