{# Millilitres count as grams. #}
{% macro to_grams(amount, unit) -%}
    case {{ unit }}
        when 'kg' then {{ amount }} * 1000
        when 'l' then {{ amount }} * 1000
        when 'g' then {{ amount }}
    end
{%- endmacro %}
