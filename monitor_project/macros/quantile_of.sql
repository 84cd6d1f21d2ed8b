{#- Documented in _macros.yml. -#}
{% macro quantile_of(value, number, count, share) -%}
    {%- set place = 'least(greatest((' ~ count ~ ' + 1) * ' ~ share ~ ', 1), ' ~ count ~ ')' -%}
    sum({{ value }} * greatest(0, 1 - abs({{ number }} - {{ place }})))
{%- endmacro %}
