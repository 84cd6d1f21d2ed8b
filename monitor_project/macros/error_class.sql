{#- Documented in _macros.yml. Whole words are compared, without dbt's first line, which holds the name of the node. -#}
{% macro error_class(message) -%}
    {%- set words = {
        'query': [
            'binder error', 'catalog error', 'parser error', 'conversion error', 'compilation error', 'syntax error', 'does not exist', 'constraint',
            'division by zero', 'unrecognized name', 'invalid identifier', 'unknown column', 'cannot be resolved', 'contract', 'no files found', 'no such file', 'out of range', 'invalid input syntax'
        ],
        'disk_full': ['no space left', 'disk full', 'out of disk', 'disk quota', 'max_temp_directory_size', 'could not extend file'],
        'out_of_memory': ['out of memory', 'memory limit', 'resources exceeded'],
        'timeout': ['timed out', 'timeout', 'timeouterror', 'time limit'],
        'permission': [
            'permission', 'access denied', 'not authorized', 'unauthorized', 'insufficient privileges', 'read only mode', 'forbidden',
            'disabled by configuration', 'disabled through configuration'
        ],
        'connection': [
            'connection refused', 'connection reset', 'could not connect', 'could not set lock', 'closed the connection', 'broken pipe',
            'could not translate host', 'name or service not known'
        ]
    } -%}
    {%- set text = words_in("regexp_replace(" ~ message ~ ", '^[^' || chr(10) || ']* Error in [^' || chr(10) || ']*' || chr(10), '')") -%}
    case
    {%- for class in words %}
        when {{ has_any_word(text, words[class]) }} then '{{ class }}'
    {%- endfor %}
    end
{%- endmacro %}
