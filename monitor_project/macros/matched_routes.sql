{#- Documented in _macros.yml. -#}
{% macro matched_routes(relation, key_columns) -%}
    (
        select *
        from (
            select
                {% for column in key_columns %}watched.{{ column }}, {% endfor %}
                coalesce(routes.channel, {{ default_channel() }}) as channel,
                routes.mention,
                routes.reminder_hours,
                routes.hold_minutes,
                routes.failing_rows,
                routes.priority,
                sum(case when coalesce(routes.matching, 'first') = 'first' then 1 else 0 end) over (
                    partition by {% for column in key_columns %}watched.{{ column }}{{ ', ' if not loop.last }}{% endfor %}
                    order by routes.priority, routes.channel
                    rows between unbounded preceding and 1 preceding
                ) as final_routes_before
            from {{ relation }} as watched
            inner join {{ ref('alert_routes') }} as routes
                on
                    watched.kind = coalesce(routes.kind, watched.kind)
                    and watched.severity = coalesce(routes.severity, watched.severity)
                    and watched.project = coalesce(routes.project, watched.project)
                    and watched.environment = coalesce(routes.environment, watched.environment)
                    and (routes.owner is null or watched.owner = routes.owner)
                    and (routes.tag is null or position('"' || routes.tag || '"' in watched.tags) > 0)
                    and (
                        routes.exposure_owner is null
                        or position('"' || routes.exposure_owner || '"' in watched.exposure_owners) > 0
                    )
                    and (
                        routes.folder is null
                        or substring(watched.path, 1, length(routes.folder) + 1) = routes.folder || '/'
                    )
        ) as ranked
        where coalesce(final_routes_before, 0) = 0
    )
{%- endmacro %}
