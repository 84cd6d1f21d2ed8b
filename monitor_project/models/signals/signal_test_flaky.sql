-- Tests whose result flips while neither they nor anything upstream changes; see fct_test_flakiness.
with

judged as (

    select * from {{ ref('fct_test_flakiness') }}
    where is_flaky is not null

),

nodes as (

    select * from {{ ref('dim_nodes_ever') }}

),

observed as (

    select
        {{ surrogate_key(["'test_flaky'", 'judged.project', 'judged.environment', 'judged.node_id']) }} as signal_key,
        'test_flaky' as kind,
        judged.project,
        judged.environment,
        judged.observed_at,
        judged.holds_until,
        judged.invocation_id,
        judged.is_flaky as is_bad,
        'warning' as severity,
        'test ' || {{ node_label('nodes.node_name', 'judged.node_id') }} || case when judged.is_flaky then ' is flaky' else ' is stable' end as title,
        cast(judged.flip_count as {{ dbt.type_string() }}) || ' flips in '
        || cast(judged.run_count as {{ dbt.type_string() }}) || ' runs without a change upstream' as detail,
        judged.node_id,
        coalesce(nodes.owner, tested.owner) as owner,
        {{ json_object({
            'path': 'coalesce(tested.path, nodes.path)',
            'flips': 'judged.flip_count',
            'runs': 'judged.run_count',
            'passes_on_retry': 'judged.retry_pass_count'
        }) }} as evidence
    from judged
    left join nodes
        on
            judged.project = nodes.project
            and judged.environment = nodes.environment
            and judged.node_id = nodes.node_id
    left join nodes as tested
        on
            nodes.project = tested.project
            and nodes.environment = tested.environment
            and nodes.attached_node_id = tested.node_id

)

{{ signal_columns('observed', 'holds_until') }}
