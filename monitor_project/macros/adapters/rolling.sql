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
{% macro against_rhythm(relation, column, series, order) -%}
    {{ adapter.dispatch('against_rhythm', 'monitor')(relation, column, series, order) }}
{%- endmacro %}

{#- Logarithms, since seconds and rows vary by factors. The same weekday counts without the last day, in which a fault may go on. -#}
{% macro duckdb__against_rhythm(relation, column, series, order) -%}
    {%- set before -%}
        partition by {{ series | join(', ') }}
        order by {{ order | join(', ') }}
        rows between {{ var('baseline_runs') }} preceding and 1 preceding
    {%- endset -%}
    (
        with
        logged as (
            select
                *,
                ln(1 + greatest({{ column }}, 0)) as logged,
                min(observed_at) over (partition by {{ series | join(', ') }}) as first_observed_at
            from {{ relation }}
        ),
        levelled as (
            select
                *,
                coalesce(median(logged) over of_weekday, median(logged) over before) as level
            from logged
            window
                before as ({{ before }}),
                of_weekday as (
                    partition by {{ series | join(', ') }}, {{ weekday('observed_at') }}
                    order by observed_at
                    range between interval 36 days preceding and interval 1 day preceding
                )
        ),
        scattered as (
            select
                *,
                count(*) over before as prior_run_count,
                quantile_cont(logged - level, [0.1, 0.5, 0.9]) over before as residuals
            from levelled
            window before as ({{ before }})
        )
        select
            *,
            round(exp(level + coalesce(residuals[2], 0)) - 1, 3) as usual_value,
            -- The tenth and ninetieth percentile of a normal distribution are 2.563 standard deviations apart; few runs show too small a spread.
            (logged - level - residuals[2]) / (
                greatest((residuals[3] - residuals[1]) / 2.563, 0.01) * (1 + 6.0 / prior_run_count)
            ) as deviations
        from scattered
    )
{%- endmacro %}
