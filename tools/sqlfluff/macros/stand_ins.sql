{#- Stand-ins for what only dbt or an adapter knows, so that sqlfluff renders the models without either. -#}
{% macro env_var(name, default='') %}{{ default }}{% endmacro %}
{% macro as_of() %}cast('2026-01-01' as timestamp){% endmacro %}
{% macro changed_run_dates(source_name, table_name) %}(select cast(null as date) as run_date, cast(null as text) as run_date_version){% endmacro %}
{% macro changed_run_dates_of(relation) %}(select cast(null as date) as run_date, cast(null as text) as run_date_version){% endmacro %}
{% macro changed_run_months_of(relation) %}{{ changed_run_dates_of(relation) }}{% endmacro %}
{% macro rows_of_run_dates(relation, run_dates) %}{{ relation }}{% endmacro %}
{% macro against_baseline(relation, column, series, order) %}(select *, 1 as prior_run_count, 1 as usual_value, 1 as usual_deviation from {{ relation }}){% endmacro %}
{% macro against_rhythm(relation, column, series, order) %}(select *, 1 as prior_run_count, cast('2026-01-01' as timestamp) as first_observed_at, 1 as usual_value, 1 as deviations from {{ relation }}){% endmacro %}
{% macro percentile_within(column, share, partition_by) %}quantile_cont({{ column }}, {{ share }}) over (partition by {{ partition_by | join(', ') }}){% endmacro %}
{% macro json_text(column, key) %}json_extract_string({{ column }}, '{{ key }}'){% endmacro %}
{% macro json_entries(relation, column) %}(select *, '' as entry_key, '' as entry_value from {{ relation }}){% endmacro %}
{% macro json_object(columns) %}cast(json_object({% for key, column in columns.items() %}'{{ key }}', {{ column }}{{ ', ' if not loop.last }}{% endfor %}) as varchar){% endmacro %}
{% macro without_literals(text) %}regexp_replace({{ text }}, 'a', 'b', 'g'){% endmacro %}
{% macro source(source_name, table_name) %}{{ source_name }}_{{ table_name }}{% endmacro %}
{% macro add_seconds(instant, seconds) %}({{ instant }} + to_seconds({{ seconds }})){% endmacro %}
{% macro weekday(instant) %}dayname({{ instant }}){% endmacro %}

{% macro local_time(instant, timezone) %}cast({{ instant }} as timestamp){% endmacro %}

{% macro instant_of(local_time, timezone) %}cast({{ local_time }} as timestamp){% endmacro %}

{% macro known_timezones() %}(select 'UTC' as name){% endmacro %}
{% macro words_of(relation, column) %}(select *, '' as word from {{ relation }}){% endmacro %}
