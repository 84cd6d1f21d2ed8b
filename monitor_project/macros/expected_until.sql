{#- Documented in _macros.yml. -#}
{% macro expected_until(observed_at, prior_observed_at) -%}
    {%- set interval_seconds = 'coalesce(' ~ seconds_between(prior_observed_at, observed_at) ~ ', 0)' -%}
    {{ add_seconds(observed_at, 'greatest(0, least(' ~ interval_seconds ~ ', ' ~ var('longest_run_interval_days') * 86400 ~ '))') }}
{%- endmacro %}
