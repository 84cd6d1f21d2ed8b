{#- Documented in _macros.yml. -#}
{% macro observed_rows(observed_table) -%}
    (
        select
            * exclude (_project, _environment, _content_hash, _observed_at, _row_number, run_date, copy_number),
            _project as project,
            _environment as environment,
            _content_hash as content_hash
        from {{ without_copies(
            source('history', 'observed_' ~ observed_table),
            ['_project', '_environment', '_content_hash', '_row_number'],
            within_run_date=false
        ) }} as copies
    )
{%- endmacro %}
