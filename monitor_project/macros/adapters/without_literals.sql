{#- Documented in ../_macros.yml. -#}
{% macro without_literals(text) -%}
    {{ adapter.dispatch('without_literals', 'monitor')(text) }}
{%- endmacro %}

{#- Names between single quotes are marked first, by what stands before or behind them, so that they are not taken for values. -#}
{% macro default__without_literals(text) -%}
    {%- set before = '(object|table|view|column|relation|schema|database|identifier|function|model|node|macro|source|seed|snapshot|field|named|name|role|warehouse|profile|target)' -%}
    {%- set behind = '( is undefined| is not defined| does not exist| was not found| not found| is ambiguous| has no attribute)' -%}
    {%- set name = "''([[:alnum:]_.$-]{1,128})''" -%}
    translate(
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    regexp_replace(
                        regexp_replace({{ text }}, '(?i){{ before }}:? {{ name }}', '\1 ' || chr(2) || '\2' || chr(3), 'g'),
                        '(?i){{ name }}{{ behind }}', chr(2) || '\1' || chr(3) || '\2', 'g'
                    ),
                    '''[^'']*''', '''...''', 'g'
                ),
                '(: |[Kk]ey )"[^"]*"', '\1"..."', 'g'
            ),
            '(^|[^[:alnum:]_.-])[0-9]{4,}', '\1...', 'g'
        ),
        chr(2) || chr(3), ''''''
    )
{%- endmacro %}
