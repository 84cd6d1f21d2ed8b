{#- Documented in _macros.yml. -#}
{% macro sum_all_event_types(event_type_column='event_type', session_column='session_id') -%}
    {%- set event_types = var('event_types') -%}
    {%- if event_types is string or event_types | length == 0 -%}
        {{ exceptions.raise_compiler_error(
            "sum_all_event_types: var 'event_types' must be a list of at least one event type, got: " ~ event_types
        ) }}
    {%- endif -%}
    {%- for event_type in event_types %}
    sum(case when {{ event_type_column }} = '{{ event_type }}' then 1 else 0 end) as {{ event_type }}_count,
    {%- endfor %}
    count(distinct {{ session_column }}) as session_count
{%- endmacro %}
