{#- Documented in ../_macros.yml. -#}
{% macro json_entries(relation, column) -%}
    {{ adapter.dispatch('json_entries', 'monitor')(relation, column) }}
{%- endmacro %}

{% macro duckdb__json_entries(relation, column) -%}
    (
        select
            source_rows.*,
            entries.key as entry_key,
            entries.value ->> '$' as entry_value
        from {{ relation }} as source_rows, json_each(source_rows.{{ column }}) as entries
    )
{%- endmacro %}

{% macro postgres__json_entries(relation, column) -%}
    (
        select
            source_rows.*,
            entries.key as entry_key,
            entries.value as entry_value
        from {{ relation }} as source_rows
        cross join lateral json_each_text(cast(source_rows.{{ column }} as json)) as entries
    )
{%- endmacro %}
