{#- Documented in _macros.yml. -#}
{% macro alerting_environments() -%}
    {%- set named = env_var('OFFDAG_ALERTING_ENVIRONMENTS', '') -%}
    {{ return((named.split(',') | map('trim') | list) if named else var('alerting_environments')) }}
{%- endmacro %}

{#- Documented in _macros.yml. -#}
{% macro default_channel() -%}
    '{{ (env_var("OFFDAG_SLACK_CHANNEL", "") or var("default_channel")) | replace("'", "''") }}'
{%- endmacro %}
