{#- Documented in _macros.yml. -#}
{% macro has_baseline(compared) -%}
    {{ compared }}.prior_run_count >= {{ var('baseline_least_runs') }}
            and {{ compared }}.observed_at >= {{ dbt.dateadd('day', var('baseline_least_days'), compared ~ '.first_observed_at') }}
{%- endmacro %}
