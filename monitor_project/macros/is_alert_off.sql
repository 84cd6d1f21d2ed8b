{#- Documented in _macros.yml. -#}
{% macro is_alert_off(settings) -%}
    coalesce({{ json_text(settings, 'off') }} = 'true' or {{ json_text(settings, 'false') }} = 'true', false)
{%- endmacro %}
