{#- Documented in ../_macros.yml. -#}
{% macro against_baseline(relation, column, series, order) -%}
    (
        select
            *,
            count(*) over (
                partition by {{ series | join(', ') }}
                order by {{ order | join(', ') }}
                rows between {{ var('baseline_runs') }} preceding and 1 preceding
            ) as prior_run_count,
            {{ adapter.dispatch('rolling_aggregate', 'monitor')('median', column, series, order, var('baseline_runs')) }} as usual_value,
            {{ adapter.dispatch('rolling_aggregate', 'monitor')('mad', column, series, order, var('baseline_runs')) }} as usual_deviation
        from {{ relation }}
    )
{%- endmacro %}

{% macro duckdb__rolling_aggregate(aggregate, column, partition_by, order_by, rows) -%}
    {{ aggregate }}({{ column }}) over (
        partition by {{ partition_by | join(', ') }}
        order by {{ order_by | join(', ') }}
        rows between {{ rows }} preceding and 1 preceding
    )
{%- endmacro %}

{#- Documented in ../_macros.yml. -#}
{% macro percentile_within(column, share, partition_by) -%}
    {{ adapter.dispatch('percentile_within', 'monitor')(column, share, partition_by) }}
{%- endmacro %}

{% macro duckdb__percentile_within(column, share, partition_by) -%}
    quantile_cont({{ column }}, {{ share }}) over (partition by {{ partition_by | join(', ') }})
{%- endmacro %}

{#- Documented in ../_macros.yml. -#}
{% macro median(column) -%}
    {{ return(adapter.dispatch('median', 'monitor')(column)) }}
{%- endmacro %}

{% macro default__median(column) -%}
    percentile_cont(0.5) within group (order by {{ column }})
{%- endmacro %}

{% macro duckdb__median(column) -%}
    median({{ column }})
{%- endmacro %}
