{% macro minutes_between(began, ended) %}date_diff('minute', {{ began }}, {{ ended }}){% endmacro %}
