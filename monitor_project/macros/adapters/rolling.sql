{#- Documented in ../_macros.yml. -#}
{% macro rolling_median(column, partition_by, order_by, rows) -%}
    {{ adapter.dispatch('rolling_aggregate', 'monitor')('median', column, partition_by, order_by, rows) }}
{%- endmacro %}

{#- Documented in ../_macros.yml. -#}
{% macro rolling_mad(column, partition_by, order_by, rows) -%}
    {{ adapter.dispatch('rolling_aggregate', 'monitor')('mad', column, partition_by, order_by, rows) }}
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
