{#- Documented in ../_macros.yml. -#}
{% macro words_of(relation, column) -%}
    {{ adapter.dispatch('words_of', 'monitor')(relation, column) }}
{%- endmacro %}

{% macro duckdb__words_of(relation, column) -%}
    (
        select
            source_rows.*,
            unnest(string_split(source_rows.{{ column }}, ' ')) as word
        from {{ relation }} as source_rows
    )
{%- endmacro %}

{% macro postgres__words_of(relation, column) -%}
    (
        select
            source_rows.*,
            words.word
        from {{ relation }} as source_rows
        cross join lateral regexp_split_to_table(source_rows.{{ column }}, ' ') as words (word)
    )
{%- endmacro %}
