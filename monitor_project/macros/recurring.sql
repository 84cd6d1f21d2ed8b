{#- Documented in _macros.yml. -#}
{% macro recurring(judged, key, column, series, rate) -%}
    {%- set since -%}{{ seconds_between('earlier.observed_at', 'far.observed_at') }}{%- endset -%}
    select far.{{ key }}
    from {{ judged }} as far
    inner join {{ judged }} as earlier
        on
            {% for name in series -%}
            far.{{ name }} is not distinct from earlier.{{ name }}
            and {% endfor -%}
            -- What went on for some days is no rhythm.
            far.observed_at > {{ dbt.dateadd('day', 5, 'earlier.observed_at') }}
            and abs(far.{{ column }} - earlier.{{ column }}) <= {{ rate }} * far.{{ column }}
    where
        far.is_judged
        and far.is_far
    group by far.{{ key }}
    having
        count(*) >= {{ var('recurring_least_runs') }}
        -- A day and three hours more or less than a number of weeks: a Sunday is like a Saturday.
        or min(mod(cast({{ since }} as bigint) + 97200, 604800)) <= 194400
{%- endmacro %}
