{#- Documented in ../_macros.yml. -#}
{% macro changed_run_dates(source_name, table_name) -%}
    {{ return(adapter.dispatch('changed_run_dates', 'monitor')(source(source_name, table_name))) }}
{%- endmacro %}

{#- The number of rows stands for their content. -#}
{% macro default__changed_run_dates(relation) -%}
    {%- set found -%}
        select
            run_date,
            cast(count(*) as {{ dbt.type_string() }}) as run_date_version
        from {{ relation }}
        group by run_date
    {%- endset -%}
    {{ return(monitor.default__run_dates_unlike_these(found)) }}
{%- endmacro %}

{#- What a file of these tables holds never changes under its name, so the names identify the content of a date: none has to be opened. -#}
{% macro duckdb__changed_run_dates(relation) -%}
    {%- set found -%}
        select
            cast(regexp_extract(file, 'run_date=([0-9-]+)', 1) as date) as run_date,
            md5(string_agg(parse_filename(file), '|' order by file)) as run_date_version,
            list(file order by file) as files
        from glob('{{ (relation | string).split("'")[1] }}')
        where parse_filename(file) not like '\_schema-%' escape '\'
        group by 1
    {%- endset -%}
    {{ return(monitor.duckdb__run_dates_unlike_these(found)) }}
{%- endmacro %}

{#- Documented in ../_macros.yml. All rows of a date have one version: min instead of distinct, which would hash each row's text. -#}
{% macro changed_run_dates_of(relation) -%}
    {%- set found -%}
        select
            run_date,
            min(run_date_version) as run_date_version{% if target.type == 'duckdb' %},
            cast(null as varchar[]) as files{% endif %}
        from {{ relation }}
        group by run_date
    {%- endset -%}
    {{ return(adapter.dispatch('run_dates_unlike_these', 'monitor')(found)) }}
{%- endmacro %}

{#- Documented in ../_macros.yml. -#}
{% macro changed_run_months_of(relation) -%}
    {%- set month = 'cast(' ~ dbt.date_trunc('month', 'run_date') ~ ' as date)' -%}
    {%- set dates = 'select run_date, min(run_date_version) as run_date_version from ' ~ relation ~ ' group by run_date' -%}
    {%- set versions = '(select *, ' ~ month ~ ' as run_month from (' ~ dates ~ ') as dates)' -%}
    {%- set found -%}
        select
            dates.run_date,
            months.run_date_version{% if target.type == 'duckdb' %},
            cast(null as varchar[]) as files{% endif %}
        from {{ versions }} as dates
        inner join (
            select
                run_month,
                {{ dbt.hash(dbt.listagg('run_date_version', "'|'", 'order by run_date')) }} as run_date_version
            from {{ versions }} as versions
            group by run_month
        ) as months
            on dates.run_month = months.run_month
    {%- endset -%}
    {#- Dates of which all rows are left out are known too. -#}
    {%- set known -%}
        select
            dates.run_date,
            months.run_date_version
        from (
            select run_date, {{ month }} as run_month from {{ relation }}
            union
            select run_date, {{ month }} as run_month from {{ this }}
        ) as dates
        inner join (select distinct run_date_version, {{ month }} as run_month from {{ this }}) as months
            on dates.run_month = months.run_month
    {%- endset -%}
    {{ return(adapter.dispatch('run_dates_unlike_these', 'monitor')(found, known)) }}
{%- endmacro %}

{% macro default__run_dates_unlike_these(found, known=none) -%}
    {%- set known = known or 'select run_date, min(run_date_version) as run_date_version from ' ~ this ~ ' group by run_date' -%}
    (
        select
            found.run_date,
            found.run_date_version
        from ({{ found }}) as found
        {%- if is_incremental() %}
        left join ({{ known }}) as known
            on found.run_date = known.run_date
        where known.run_date is null or known.run_date_version != found.run_date_version
        {%- endif %}
    )
{%- endmacro %}

{#-
    The dates are a variable of DuckDB, and not literals: the same compiled text serves every run (offdag.monitor.plan). A date without a
    version is no longer in the history.
-#}
{% macro duckdb__run_dates_unlike_these(found, known=none) -%}
    {%- set known = known or 'select run_date, min(run_date_version) as run_date_version from ' ~ this ~ ' group by run_date' -%}
    {%- if execute -%}
        {%- set find -%}
            set variable changed_run_dates = (
                select
                    cast(
                        coalesce(
                            list(struct_pack(
                                run_date := coalesce(found.run_date, known.run_date),
                                run_date_version := found.run_date_version,
                                files := found.files
                            )),
                            []
                        ) as struct(run_date date, run_date_version varchar, files varchar[])[]
                    )
                from ({{ found }}) as found
                full join (
                    {%- if is_incremental() %}
                    {{ known }}
                    {%- else %}
                    select null::date as run_date, null::varchar as run_date_version where false
                    {%- endif %}
                ) as known
                    on found.run_date = known.run_date
                where found.run_date_version is distinct from known.run_date_version
            )
        {%- endset -%}
        {%- do run_query(find) -%}
    {%- endif -%}
    {{ return("(select changed.run_date, changed.run_date_version from (select unnest(getvariable('changed_run_dates')) as changed))") }}
{%- endmacro %}

{#- Documented in ../_macros.yml. -#}
{% macro rows_of_run_dates(relation, run_dates) -%}
    {{ adapter.dispatch('rows_of_run_dates', 'monitor')(relation, run_dates) }}
{%- endmacro %}

{% macro default__rows_of_run_dates(relation, run_dates) -%}
    (select * from {{ relation }} where run_date in (select run_date from {{ run_dates }} as changed))
{%- endmacro %}

{#-
    Lists the files of those dates by name: with a filter on run_date DuckDB would open all files, possibly thousands, to read their columns.
    The file without rows is always one of them. Files that compaction has merged into another one are left out.
-#}
{% macro duckdb__rows_of_run_dates(relation, run_dates) -%}
    {%- set parts = (relation | string).split("'") -%}
    {%- if parts | length == 1 -%}
    {{ monitor.default__rows_of_run_dates(relation, run_dates) }}
    {%- else -%}
    {%- set without_rows = parts[1] | replace('*/*.parquet', 'run_date=1970-01-01/*.parquet') -%}
    {%- if execute -%}
        {%- set find_merged -%}
            set variable merged_files = list_concat(
                (
                    select list(file)
                    from (
                        select unnest(changed.files) as file
                        from (select unnest(getvariable('changed_run_dates')) as changed)
                    )
                    where parse_filename(file) like 'merged-%'
                ),
                (select list(file) from glob('{{ without_rows }}'))
            )
        {%- endset -%}
        {%- do run_query(find_merged) -%}
        {%- set find_files -%}
            set variable changed_files = list_concat(
                (
                    select list(file order by file)
                    from (
                        select unnest(changed.files) as file
                        from (select unnest(getvariable('changed_run_dates')) as changed)
                    )
                    where regexp_extract(file, 'run_date=([0-9-]+)', 1) || '/' || parse_filename(file) not in (
                        select
                            regexp_extract(file_name, 'run_date=([0-9-]+)', 1) || '/'
                            || unnest(cast(cast(decode(value) as json) as varchar[]))
                            || case when decode(key) = 'offdag.identities' then '.parquet' else '' end
                        from parquet_kv_metadata(getvariable('merged_files'))
                        where decode(key) in ('offdag.identities', 'offdag.replaces')
                    )
                ),
                (select list(file) from glob('{{ without_rows }}'))
            )
        {%- endset -%}
        {%- do run_query(find_files) -%}
    {%- endif -%}
    read_parquet(getvariable('changed_files'), hive_partitioning = true, union_by_name = true)
    {%- endif -%}
{%- endmacro %}

{#- Documented in ../_macros.yml. dbt calls it for the incremental strategy `run_dates`. -#}
{% macro get_incremental_run_dates_sql(arg_dict) -%}
    {{ return(adapter.dispatch('get_incremental_run_dates_sql', 'monitor')(arg_dict)) }}
{%- endmacro %}

{% macro default__get_incremental_run_dates_sql(arg_dict) -%}
    {{ return(get_incremental_delete_insert_sql(arg_dict)) }}
{%- endmacro %}

{#- Unlike delete+insert, it also deletes the dates that are no longer in the history. -#}
{% macro duckdb__get_incremental_run_dates_sql(arg_dict) -%}
    {%- set columns = get_quoted_csv(arg_dict['dest_columns'] | map(attribute='name')) -%}
    delete from {{ arg_dict['target_relation'] }}
    where run_date in (select changed.run_date from (select unnest(getvariable('changed_run_dates')) as changed));
    insert into {{ arg_dict['target_relation'] }} ({{ columns }})
    select {{ columns }} from {{ arg_dict['temp_relation'] }}
{%- endmacro %}
