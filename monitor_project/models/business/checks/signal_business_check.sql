-- The checks of business_checks.csv. A condition is computed once for each content of its table and each key. Keys that never broke it have
-- no rows; for the others, each observation that breaks it is bad, and the first one after it that does not is good. A key that is no longer
-- in the table is unknown then, which closes its incident.
{{ config(enabled=var('business_checks') | length > 0) }}

with

{%- for check in var('business_checks') %}
{%- set keys = check.key_columns %}

verdicts_{{ loop.index }} as (

    select
        '{{ check.check_name }}' as check_name,
        'observed_{{ check.observed_table }}' as observed_table,
        project,
        environment,
        content_hash,
        {% if keys -%}
        {% for key in keys %}coalesce(cast({{ key }} as {{ dbt.type_string() }}), '<null>'){{ " || ', ' || " if not loop.last }}{% endfor %} as check_key,
        {%- else -%}
        '' as check_key,
        {%- endif %}
        cast({{ check.condition }} as boolean) as is_broken,
        {{ title_expression(check.title) }} as title
    from {{ observed_rows(check.observed_table) }} as observed
    group by project, environment, content_hash{% for key in keys %}, {{ key }}{% endfor %}
    {%- if not keys %}

    union all

    -- A content without rows has no group.
    select
        '{{ check.check_name }}' as check_name,
        observations.observed_table,
        observations.project,
        observations.environment,
        observations.content_hash,
        '' as check_key,
        empty_table.is_broken,
        empty_table.title
    from (
        select distinct
            observed_table,
            project,
            environment,
            content_hash
        from {{ ref('fct_observations') }}
        where observed_table = 'observed_{{ check.observed_table }}'
    ) as observations
    left join (
        select distinct content_hash from {{ observed_rows(check.observed_table) }} as observed
    ) as filled
        on observations.content_hash = filled.content_hash
    cross join (
        select
            cast({{ check.condition }} as boolean) as is_broken,
            {{ title_expression(check.title) }} as title
        from {{ observed_rows(check.observed_table) }} as observed
        where 1 = 0
    ) as empty_table
    where filled.content_hash is null
    {%- endif %}

),
{%- endfor %}

verdicts as (

    {%- for check in var('business_checks') %}
    select * from verdicts_{{ loop.index }}
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

checks as (

    {%- for check in var('business_checks') %}
    select
        '{{ check.check_name }}' as check_name,
        '{{ check.node_id }}' as node_id,
        '{{ check.severity }}' as severity,
        {{ text_literal(check.channel) }} as channel,
        {{ text_literal(check.comment) }} as comment,
        {{ 'true' if check.key_columns else 'false' }} as has_keys
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

broken_keys as (

    select
        check_name,
        observed_table,
        project,
        environment,
        check_key
    from verdicts
    where is_broken
    group by check_name, observed_table, project, environment, check_key

),

observations as (

    select * from {{ ref('fct_observations') }}

),

seen as (

    select
        broken_keys.check_name,
        broken_keys.project,
        broken_keys.environment,
        broken_keys.check_key,
        observations.observed_at,
        observations.content_hash,
        verdicts.is_broken,
        verdicts.title,
        verdicts.content_hash is not null as is_in_table,
        lag(verdicts.content_hash is not null) over (
            partition by broken_keys.check_name, broken_keys.project, broken_keys.environment, broken_keys.check_key
            order by observations.observed_at, observations.content_hash
        ) as was_in_table
    from broken_keys
    inner join observations
        on
            broken_keys.observed_table = observations.observed_table
            and broken_keys.project = observations.project
            and broken_keys.environment = observations.environment
    left join verdicts
        on
            broken_keys.check_name = verdicts.check_name
            and broken_keys.project = verdicts.project
            and broken_keys.environment = verdicts.environment
            and broken_keys.check_key = verdicts.check_key
            and observations.content_hash = verdicts.content_hash

),

-- A condition that is null is not an observation. Before a key is first in the table, and after it has left it, nothing is observed.
judged as (

    select
        *,
        case when is_in_table then is_broken end as is_bad
    from seen
    where
        is_broken is not null
        or (not is_in_table and was_in_table)

),

nodes as (

    select * from {{ ref('dim_nodes') }}

),

observed as (

    select
        {{ surrogate_key(['turning.check_name', 'turning.project', 'turning.environment', 'turning.check_key']) }} as signal_key,
        turning.check_name as kind,
        turning.project,
        turning.environment,
        turning.observed_at,
        turning.expected_until,
        cast(null as {{ dbt.type_string() }}) as invocation_id,
        turning.is_bad,
        checks.severity,
        case when turning.is_bad then turning.title else turning.check_name || ' is kept' end
        || case when not turning.is_bad and checks.has_keys then ': ' || turning.check_key else '' end as title,
        checks.comment as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        nodes.owner,
        {{ json_object({
            'check_key': 'turning.check_key',
            'observed_node_id': 'checks.node_id',
            'channel': 'checks.channel'
        }) }} as evidence
    from {{ turning_points(
        'judged', ['check_name', 'project', 'environment', 'check_key'], 'coalesce(is_bad, false)', ['observed_at', 'content_hash']
    ) }} as turning
    inner join checks
        on turning.check_name = checks.check_name
    left join nodes
        on
            turning.project = nodes.project
            and turning.environment = nodes.environment
            and checks.node_id = nodes.node_id

)

{{ signal_columns('observed', 'expected_until') }}
