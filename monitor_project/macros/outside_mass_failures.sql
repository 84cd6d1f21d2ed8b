{#- Documented in _macros.yml. -#}
{% macro outside_mass_failures(executions, mass_failures) -%}
    (
        select watched.*
        from {{ executions }} as watched
        left join {{ mass_failures }} as mass_failures
            on
                watched.project = mass_failures.project
                and watched.environment = mass_failures.environment
                and watched.invocation_id = mass_failures.invocation_id
                and case when watched.node_status in ('error', 'runtime error') then {{ error_summary('watched.message') }} end = mass_failures.cause
        where mass_failures.invocation_id is null
    )
{%- endmacro %}
