-- Models, snapshots, seeds and functions that failed. A skipped node is not observed: the failure that caused the skip has its own incident.
with

executed as (

    select
        node_execution_id,
        project,
        environment,
        invocation_id,
        node_id,
        resource_type,
        outcome,
        failure_count,
        observed_at,
        message,
        run_date
    from {{ outside_mass_failures(ref('int_turning_executions'), ref('fct_mass_failures')) }} as executions
    where
        resource_type not in ('test', 'unit_test')
        and outcome in ('success', 'failure')

),

node_executions as (

    select *
    from {{ turning_points(
        'executed', ['project', 'environment', 'node_id'], "outcome != 'success'",
        ['run_date', 'observed_at', 'invocation_id'], 'observed_at'
    ) }} as turning_points

),

nodes as (

    select * from {{ ref('dim_nodes_ever') }}

),

impacts as (

    select * from {{ ref('fct_failure_impact') }}

),

observed as (

    select
        {{ surrogate_key(["'node_failed'", 'node_executions.project', 'node_executions.environment', 'node_executions.node_id']) }}
            as signal_key,
        'node_failed' as kind,
        node_executions.project,
        node_executions.environment,
        node_executions.observed_at,
        node_executions.expected_until,
        node_executions.invocation_id,
        node_executions.outcome = 'failure' as is_bad,
        'error' as severity,
        node_executions.resource_type || ' ' || {{ node_label('nodes.node_name', 'node_executions.node_id') }} || ' failed' as title,
        {{ error_summary('node_executions.message') }} as detail,
        node_executions.node_id,
        nodes.owner,
        {{ json_object({
            'path': 'nodes.path',
            'skipped_models': 'impacts.skipped_model_count',
            'downstream_models': 'impacts.downstream_model_count',
            'outdated_models': 'impacts.outdated_model_names',
            'exposures': 'impacts.exposure_names'
        }) }} as evidence
    from node_executions
    left join nodes
        on
            node_executions.project = nodes.project
            and node_executions.environment = nodes.environment
            and node_executions.node_id = nodes.node_id
    left join impacts
        on node_executions.node_execution_id = impacts.node_execution_id

)

{{ signal_columns('observed', 'expected_until') }}
