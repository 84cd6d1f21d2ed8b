{#- Documented in _macros.yml. -#}
{% macro turning_points(relation, key_columns, is_bad, order_columns, observed_at=none) -%}
    {%- set observed_at = observed_at or order_columns[0] -%}
    {%- set in_order = 'partition by ' ~ key_columns | join(', ') ~ ' order by ' ~ order_columns | join(', ') -%}
    (
        select
            *,
            {{ expected_until(observed_at, 'prior_observed_at') }} as expected_until
        from (
            select
                *,
                lag({{ observed_at }}) over ({{ in_order }}) as prior_observed_at,
                lag(case when {{ is_bad }} then 1 else 0 end) over ({{ in_order }}) as was_bad
            from {{ relation }}
        ) as sequenced
        where
            {{ is_bad }}
            or was_bad = 1
    )
{%- endmacro %}
