{#- Stand-ins for what only dbt or an adapter knows, so that sqlfluff renders the models without either. -#}
{% macro env_var(name, default='') %}{{ default }}{% endmacro %}
{% macro changed_run_dates(source_name, table_name) %}{% endmacro %}
{% macro json_object(columns) %}cast(json_object({% for key, column in columns.items() %}'{{ key }}', {{ column }}{{ ', ' if not loop.last }}{% endfor %}) as varchar){% endmacro %}
{% macro without_literals(text) %}regexp_replace({{ text }}, 'a', 'b', 'g'){% endmacro %}
{% macro source(source_name, table_name) %}{{ source_name }}_{{ table_name }}{% endmacro %}
