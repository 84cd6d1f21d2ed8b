{#- Documented in _macros.yml. -#}
{% macro error_class(message) -%}
    {%- set words = {
        'query': ['binder error', 'catalog error', 'parser error', 'conversion error', 'compilation error', 'syntax error', 'does not exist'],
        'disk_full': ['no space left', 'disk full', 'out of disk', 'disk quota', 'max_temp_directory_size', 'could not extend file'],
        'out_of_memory': ['out of memory', 'memory limit', 'resources exceeded'],
        'timeout': ['timed out', 'timeout', 'time limit'],
        'permission': [
            'permission', 'access denied', 'not authorized', 'unauthorized', 'insufficient privileges', 'read-only mode', 'forbidden',
            'disabled by configuration', 'disabled through configuration'
        ],
        'connection': [
            'connection refused', 'connection reset', 'could not connect', 'could not set lock', 'closed the connection', 'broken pipe',
            'could not translate host', 'name or service not known'
        ]
    } -%}
    case
    {%- for class in words %}
        when {% for word in words[class] -%}
            position({{ text_literal(word) }} in lower({{ message }})) > 0{% if not loop.last %} or {% endif %}
        {%- endfor %} then '{{ class }}'
    {%- endfor %}
    end
{%- endmacro %}
