{#- Documented in ../_macros.yml. -#}
{% macro changed_run_dates(source_name, table_name) -%}
    {%- set versions = {} -%}
    {%- if execute -%}
        {%- set found = run_query(adapter.dispatch('run_date_versions', 'monitor')(source(source_name, table_name))) -%}
        {%- set known = {} -%}
        {%- if is_incremental() -%}
            {%- for row in run_query("select distinct run_date, run_date_version from " ~ this).rows -%}
                {%- do known.update({row[0] | string: row[1]}) -%}
            {%- endfor -%}
        {%- endif -%}
        {%- for row in found.rows -%}
            {%- if known.get(row[0] | string) != row[1] -%}
                {%- do versions.update({row[0] | string: row[1]}) -%}
            {%- endif -%}
        {%- endfor -%}
    {%- endif -%}
    {{ return(versions) }}
{%- endmacro %}

{% macro default__run_date_versions(relation) -%}
    select
        run_date,
        cast(count(*) as {{ dbt.type_string() }}) as run_date_version
    from {{ relation }}
    group by run_date
{%- endmacro %}

{#- The names of a date's files say what it holds: no file has to be opened. -#}
{% macro duckdb__run_date_versions(relation) -%}
    {%- set pattern = (relation | string).split("'")[1] -%}
    select
        cast(regexp_extract(file, 'run_date=([0-9-]+)', 1) as date) as run_date,
        md5(string_agg(parse_filename(file), '|' order by file)) as run_date_version
    from glob('{{ pattern }}')
    where parse_filename(file) not like '\_schema-%' escape '\'
    group by 1
{%- endmacro %}

{#- Documented in ../_macros.yml. -#}
{% macro rows_of_run_dates(relation, run_dates) -%}
    {{ adapter.dispatch('rows_of_run_dates', 'monitor')(relation, run_dates) }}
{%- endmacro %}

{% macro default__rows_of_run_dates(relation, run_dates) -%}
    (
        select * from {{ relation }}
        where run_date in (
            cast('1970-01-01' as date){% for run_date in run_dates %}, cast('{{ run_date }}' as date){% endfor %}
        )
    )
{%- endmacro %}

{#- Only the folders of those dates are opened: of ten thousand files a filter would open all, to learn their columns. -#}
{% macro duckdb__rows_of_run_dates(relation, run_dates) -%}
    {%- set parts = (relation | string).split("'") -%}
    {%- if parts | length > 1 and run_dates | length < 400 -%}
    {%- set table_folder = parts[1] | replace('*/*.parquet', '') -%}
    read_parquet(
        [
            '{{ table_folder }}run_date=1970-01-01/*.parquet'
            {%- for run_date in run_dates %}, '{{ table_folder }}run_date={{ run_date }}/*.parquet'{% endfor %}
        ],
        hive_partitioning = true,
        union_by_name = true
    )
    {%- else -%}
    {{ monitor.default__rows_of_run_dates(relation, run_dates) }}
    {%- endif -%}
{%- endmacro %}

{#- Documented in ../_macros.yml. -#}
{% macro run_date_versions_cte(run_dates) -%}
run_date_versions as (

    {%- for run_date, version in run_dates.items() %}
    select cast('{{ run_date }}' as date) as run_date, cast('{{ version }}' as {{ dbt.type_string() }}) as run_date_version
    union all
    {%- endfor %}
    select cast(null as date) as run_date, cast(null as {{ dbt.type_string() }}) as run_date_version

)
{%- endmacro %}
