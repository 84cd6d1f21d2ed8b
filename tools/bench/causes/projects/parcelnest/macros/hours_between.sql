{% macro hours_between(first, last) -%}
date_diff('minute', {{ first }}, {{ last }}) / 60.0
{%- endmacro %}
