{#- Documented in _macros.yml. -#}
{% macro alert_mention(node_mention, route_mention) -%}
    {%- set broadcasts = "('here', 'channel', 'everyone')" -%}
    case
        when ltrim(trim(lower({{ node_mention }})), '@!') in {{ broadcasts }}
            and coalesce(ltrim(trim(lower({{ route_mention }})), '@!'), '') not in {{ broadcasts }}
            then {{ route_mention }}
        else coalesce({{ node_mention }}, {{ route_mention }})
    end
{%- endmacro %}
