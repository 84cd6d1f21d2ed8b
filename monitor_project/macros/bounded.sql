{#- Documented in _macros.yml. -#}
{% macro bounded(column, quantity) -%}
    {%- set bounds = {
        'seconds': (-100000000000, 100000000000),
        'duration': (0, 1000000000),
        'count': (0, 1000000000000000),
        'amount': (-1000000000000, 1000000000000),
        'threshold': (0, var('longest_threshold_seconds')),
    } -%}
    {%- if quantity not in bounds -%}
        {{ exceptions.raise_compiler_error("bounded: quantity is '" ~ quantity ~ "', and can be " ~ bounds | join(', ')) }}
    {%- endif -%}
    {%- set lowest, highest = bounds[quantity] -%}
    case
        when {{ column }} between {{ lowest }} and {{ highest }} then {{ column }}
        {%- if quantity == 'threshold' %}
        when {{ column }} > {{ highest }} then {{ highest }}
        {%- endif %}
    end
{%- endmacro %}
