{#- Documented in _macros.yml. -#}
{% macro observed_rows(observed_table) -%}
    (
        select
            * exclude (_project, _environment, _content_hash, _observed_at, _row_number, run_date, copy_number),
            _project as project,
            _environment as environment,
            _content_hash as content_hash
        from (
            select
                *,
                row_number() over (
                    partition by _project, _environment, _content_hash, _row_number
                    order by run_date
                ) as copy_number
            from {{ source('history', 'observed_' ~ observed_table) }}
        ) as numbered
        -- Rows that an older offdag copied have no number.
        where
            copy_number = 1
            or _row_number is null
    )
{%- endmacro %}
