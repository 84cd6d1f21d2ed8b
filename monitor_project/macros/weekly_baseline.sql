{#- Documented in _macros.yml. -#}
{% macro weekly_baseline(judged, key, column, series) -%}
    {%- set age_seconds -%}{{ seconds_between('earlier.observed_at', 'far.observed_at') }}{%- endset -%}
    {%- set day, hour = 86400, 3600 -%}
    select
        far.{{ key }},
        {{ median('earlier.' ~ column) }} as weekly_value
    from {{ judged }} as far
    inner join {{ judged }} as earlier
        on
            {% for name in series -%}
            far.{{ name }} is not distinct from earlier.{{ name }}
            and {% endfor -%}
            -- Leaves few rows to compare.
            {{ weekday('far.observed_at') }} = {{ weekday('earlier.observed_at') }}
            and {{ age_seconds }} between {{ 6 * day }} and {{ 36 * day }}
            and mod(cast({{ age_seconds }} as bigint) + {{ 3 * hour }}, {{ 7 * day }}) <= {{ 6 * hour }}
    where
        far.is_judged
        and far.is_far
    group by far.{{ key }}
{%- endmacro %}
