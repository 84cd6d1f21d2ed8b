{#- Documented in _macros.yml. -#}
{% macro until_as_of(column) -%}
    {{ column }} <= (select newest_instants.newest_at from {{ ref('int_newest_instant') }} as newest_instants)
{%- endmacro %}
