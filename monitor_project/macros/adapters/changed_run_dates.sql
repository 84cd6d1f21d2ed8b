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
