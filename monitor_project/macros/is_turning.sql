{#- Documented in _macros.yml. -#}
{% macro is_turning(outcome, prior_outcome, next_outcome) -%}
    (
        {{ outcome }} != 'success'
        or {{ prior_outcome }} is null
        or {{ prior_outcome }} != 'success'
        or {{ next_outcome }} is null
        or {{ next_outcome }} != 'success'
    )
{%- endmacro %}
