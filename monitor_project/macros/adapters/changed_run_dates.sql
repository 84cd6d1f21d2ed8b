{#- Documented in ../_macros.yml. -#}
{% macro changed_run_dates(source_name, table_name) -%}
    {%- set versions = {} -%}
    {%- if execute -%}
        {%- set found = run_query(adapter.dispatch('run_date_versions', 'monitor')(source(source_name, table_name), local_md5(model.raw_code))) -%}
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

{#- The model's own code is part of the version: rows that older rules made are computed again. -#}
{% macro default__run_date_versions(relation, rules) -%}
    select
        run_date,
        '{{ rules }}-' || cast(count(*) as {{ dbt.type_string() }}) as run_date_version
    from {{ relation }}
    group by run_date
{%- endmacro %}

{#- What a file of these tables holds never changes under its name, so the names identify the content of a date: none has to be opened. -#}
{% macro duckdb__run_date_versions(relation, rules) -%}
    {%- set pattern = (relation | string).split("'")[1] -%}
    select
        cast(regexp_extract(file, 'run_date=([0-9-]+)', 1) as date) as run_date,
        md5('{{ rules }}|' || string_agg(parse_filename(file), '|' order by file)) as run_date_version
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

{#- Lists the files of those dates by name: with a filter on run_date DuckDB would open all files, possibly thousands, to read their columns. -#}
{% macro duckdb__rows_of_run_dates(relation, run_dates) -%}
    {%- set parts = (relation | string).split("'") -%}
    {%- if parts | length == 1 -%}
    {{ monitor.default__rows_of_run_dates(relation, run_dates) }}
    {%- else -%}
    read_parquet(
        [
            {%- for file in monitor.unmerged_files(parts[1], run_dates) %}
            '{{ file }}'{{ ',' if not loop.last }}
            {%- endfor %}
        ],
        hive_partitioning = true,
        union_by_name = true
    )
    {%- endif -%}
{%- endmacro %}

{#- The files of the given dates and the file without rows, except files that compaction has merged into another one. -#}
{% macro unmerged_files(pattern, run_dates) -%}
    {%- set found, merged = [], [] -%}
    {%- set replaced = {} -%}
    {%- if execute -%}
        {%- set listed -%}
            select file, regexp_extract(file, 'run_date=([0-9-]+)', 1), parse_filename(file)
            from glob('{{ pattern if run_dates else pattern | replace('*/*.parquet', 'run_date=1970-01-01/*.parquet') }}')
            order by 1
        {%- endset -%}
        {%- for row in run_query(listed).rows -%}
            {%- if row[1] in run_dates or row[1] == '1970-01-01' -%}
                {%- do found.append(row) -%}
                {%- if row[2].startswith('merged-') -%}{%- do merged.append("'" ~ row[0] ~ "'") -%}{%- endif -%}
            {%- endif -%}
        {%- endfor -%}
        {%- if merged -%}
            {%- set merged_names -%}
                select
                    regexp_extract(file_name, 'run_date=([0-9-]+)', 1) || '/'
                    || unnest(cast(cast(decode(value) as json) as varchar[]))
                    || case when decode(key) = 'offdag.identities' then '.parquet' else '' end
                from parquet_kv_metadata([{{ merged | join(', ') }}])
                where decode(key) in ('offdag.identities', 'offdag.replaces')
            {%- endset -%}
            {%- for row in run_query(merged_names).rows -%}
                {%- do replaced.update({row[0]: true}) -%}
            {%- endfor -%}
        {%- endif -%}
    {%- endif -%}
    {%- set files = [] -%}
    {%- for row in found -%}
        {%- if (row[1] ~ '/' ~ row[2]) not in replaced -%}{%- do files.append(row[0]) -%}{%- endif -%}
    {%- endfor -%}
    {{ return(files) }}
{%- endmacro %}

{#- Documented in ../_macros.yml. -#}
{#- One values list: hundreds of selects with union all need hundreds of megabytes. -#}
{% macro run_date_versions_cte(run_dates) -%}
run_date_versions as (

    select *
    from (
        values
        (cast(null as date), cast(null as {{ dbt.type_string() }}))
        {%- for run_date, version in run_dates.items() %},
        (cast('{{ run_date }}' as date), '{{ version }}')
        {%- endfor %}
    ) as listed (run_date, run_date_version)

)
{%- endmacro %}
