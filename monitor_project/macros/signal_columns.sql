{#- Documented in _macros.yml. -#}
{% macro signal_columns(relation, holds_until='observed_at') -%}
    select
        signal_key,
        kind,
        project,
        environment,
        observed_at,
        {{ holds_until }} as holds_until,
        invocation_id,
        is_bad,
        severity,
        cast(substring(title, 1, 120) as {{ dbt.type_string() }}) as title,
        detail,
        node_id,
        owner,
        evidence
    from {{ relation }}
{%- endmacro %}
