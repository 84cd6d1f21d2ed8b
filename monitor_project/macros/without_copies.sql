{#- Documented in _macros.yml. -#}
{% macro without_copies(relation, key_columns, within_run_date=true) -%}
    (
        select *
        from (
            select
                *,
                row_number() over (
                    partition by {{ 'run_date, ' if within_run_date }}{{ key_columns | join(', ') }}
                    order by run_date
                ) as copy_number
            from {{ relation }}
        ) as numbered
        where copy_number = 1
    )
{%- endmacro %}
