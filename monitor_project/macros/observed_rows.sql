{#- Documented in _macros.yml. -#}
{% macro observed_rows(observed_table) -%}
    {%- set not_its_own = ['_project', '_environment', '_content_hash', '_observed_at', '_row_number', 'run_date'] -%}
    (
        select
            * exclude ({{ not_its_own | join(', ') }}, copy_number),
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
            where _row_number is not null
        ) as numbered
        where copy_number = 1

        union all

        -- Rows that an older offdag copied have no number: of equal ones, which may be one row twice, one is taken.
        select distinct
            * exclude ({{ not_its_own | join(', ') }}),
            _project as project,
            _environment as environment,
            _content_hash as content_hash
        from {{ source('history', 'observed_' ~ observed_table) }}
        where _row_number is null
    )
{%- endmacro %}
