-- Tests and unit tests that failed, warned, or could not run. A test that warns is bad with severity warning.
with

executed as (

    select
        node_execution_id,
        project,
        environment,
        invocation_id,
        node_id,
        resource_type,
        node_status,
        outcome,
        failure_count,
        observed_at,
        message,
        run_date
    from {{ outside_mass_failures(ref('int_turning_executions'), ref('fct_mass_failures')) }} as executions
    where
        resource_type in ('test', 'unit_test')
        and outcome in ('success', 'failure', 'warning')

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

-- dbt makes a test's name of the test, the node and its arguments, and cuts long ones with a hash. Any other name was given by its author.
named_tests as (

    select
        nodes.*,
        nodes.test_name is not null
        and position(nodes.test_name || '_' || coalesce(tested.node_name, '') in nodes.node_name) = 0
        and not (tested.resource_type = 'source' and position(nodes.test_name || '_' in nodes.node_name) > 0)
        and (
            length(nodes.node_name) < 33
            or translate(substring(nodes.node_name, length(nodes.node_name) - 31, 32), '0123456789abcdef', '') != ''
        ) as has_own_name,
        count(*) over (
            partition by nodes.project, nodes.environment, nodes.test_name, nodes.attached_node_id, nodes.column_name
        ) as alike_count
    from nodes
    left join nodes as tested
        on
            nodes.project = tested.project
            and nodes.environment = tested.environment
            and nodes.attached_node_id = tested.node_id
    where nodes.resource_type in ('test', 'unit_test')

),

named as (

    select
        node_executions.*,
        nodes.owner as test_owner,
        tested.owner as tested_owner,
        tested.path,
        nodes.test_name,
        case
            when nodes.has_own_name or nodes.alike_count > 1 then nodes.node_name
            else {{ node_label('coalesce(nodes.test_name, nodes.node_name)', 'node_executions.node_id') }}
        end as shown_test,
        coalesce(' on ' || tested.node_name || coalesce('.' || nodes.column_name, ''), '') as shown_place
    from node_executions
    left join named_tests as nodes
        on
            node_executions.project = nodes.project
            and node_executions.environment = nodes.environment
            and node_executions.node_id = nodes.node_id
    left join nodes as tested
        on
            nodes.project = tested.project
            and nodes.environment = tested.environment
            and nodes.attached_node_id = tested.node_id

),

observed as (

    select
        {{ surrogate_key(["'test_failed'", 'named.project', 'named.environment', 'named.node_id']) }} as signal_key,
        'test_failed' as kind,
        named.project,
        named.environment,
        named.observed_at,
        named.expected_until,
        named.invocation_id,
        named.outcome != 'success' as is_bad,
        case when named.outcome = 'warning' then 'warning' else 'error' end as severity,
        case when named.resource_type = 'unit_test' then 'unit test ' else 'test ' end || named.shown_test || named.shown_place
        || case
            when named.node_status in ('error', 'runtime error') then ' could not run'
            when named.outcome = 'warning' then ' warns'
            else ' fails'
        end as title,
        case
            when named.failure_count > 0
                then cast(named.failure_count as {{ dbt.type_string() }})
                    || case
                        when named.test_name = 'unique' then case when named.failure_count = 1 then ' value is repeated' else ' values are repeated' end
                        when named.test_name = 'accepted_values'
                            then case when named.failure_count = 1 then ' value is not accepted' else ' values are not accepted' end
                        else case when named.failure_count = 1 then ' row fails' else ' rows fail' end
                    end
            else {{ error_summary('named.message') }}
        end as detail,
        named.node_id,
        coalesce(named.test_owner, named.tested_owner) as owner,
        {{ json_object({
            'path': 'named.path',
            'failures': 'named.failure_count',
            'skipped_models': 'impacts.skipped_model_count',
            'downstream_models': 'impacts.downstream_model_count',
            'exposures': 'impacts.exposure_names'
        }) }} as evidence
    from named
    left join impacts
        on named.node_execution_id = impacts.node_execution_id

)

{{ signal_columns('observed', 'expected_until') }}
