{#- Documented in _macros.yml. -#}
{% macro is_name(word) -%}
    {%- set words_of_sql = [
        'all', 'and', 'any', 'asc', 'between', 'bigint', 'boolean', 'case', 'cast', 'coalesce', 'config', 'count', 'cross', 'current_timestamp', 'date',
        'date_trunc', 'decimal', 'desc', 'distinct', 'double', 'else', 'end', 'endif', 'error', 'except', 'exists', 'extract', 'false', 'filter', 'float', 'from',
        'full', 'greatest', 'group', 'having', 'ilike', 'inner', 'integer', 'intersect', 'interval', 'join', 'lag', 'lead', 'least', 'left', 'like', 'limit',
        'line', 'macro', 'materialized', 'max', 'min', 'model', 'not', 'null', 'nullif', 'numeric', 'offset', 'order', 'outer', 'over', 'partition', 'qualify',
        'ref', 'replace', 'right', 'round', 'row_number', 'rows', 'select', 'source', 'string', 'sum', 'table', 'text', 'then', 'timestamp', 'trim', 'true',
        'union', 'using', 'values', 'varchar', 'view', 'when', 'where', 'with'
    ] -%}
    (
        length({{ word }}) >= 3
        and lower({{ word }}) != upper({{ word }})
        and substring({{ word }}, 1, 1) not in ('''', '"', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9')
        and {{ word }} not in ({{ text_list(words_of_sql) }})
    )
{%- endmacro %}
