{#- Documented in ../_macros.yml. -#}
{% macro json_entries(relation, column) -%}
    {{ adapter.dispatch('json_entries', 'monitor')(relation, column) }}
{%- endmacro %}

{% macro duckdb__json_entries(relation, column) -%}
    (
        select
            held.*,
            entries.key as entry_key,
            entries.value ->> '$' as entry_value
        from {{ relation }} as held, json_each(held.{{ column }}) as entries
    )
{%- endmacro %}

{% macro postgres__json_entries(relation, column) -%}
    (
        select
            held.*,
            entries.key as entry_key,
            entries.value as entry_value
        from {{ relation }} as held
        cross join lateral json_each_text(cast(held.{{ column }} as json)) as entries
    )
{%- endmacro %}
