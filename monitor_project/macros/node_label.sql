{#- Documented in _macros.yml. -#}
{% macro node_label(name, node_id) -%}
    coalesce(
        {{ name }},
        nullif({{ dbt.split_part(node_id, "'.'", "case when " ~ node_id ~ " like 'source.%' then 4 else 3 end") }}, ''),
        {{ node_id }}
    )
{%- endmacro %}
