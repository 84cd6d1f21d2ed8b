{#- Documented in _macros.yml. -#}
{% macro turning_points(relation, key_columns, is_bad, order_columns) -%}
    (
        select *
        from (
            select
                *,
                lag(case when {{ is_bad }} then 1 else 0 end) over (
                    partition by {{ key_columns | join(', ') }}
                    order by {{ order_columns | join(', ') }}
                ) as was_bad
            from {{ relation }}
        ) as sequenced
        where
            {{ is_bad }}
            or was_bad = 1
    )
{%- endmacro %}
