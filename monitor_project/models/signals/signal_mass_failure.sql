-- Builds in which most nodes failed with the same error, also those that were stopped. The next whole build in which they do not is good.
with

builds as (

    select * from {{ ref('fct_invocations') }}
    where
        is_build
        and invocation_id is not null

),

judged as (

    select
        builds.*,
        mass_failures.executed_count,
        mass_failures.alike_count,
        mass_failures.cause,
        mass_failures.invocation_id is not null as is_alike
    from builds
    left join {{ ref('fct_mass_failures') }} as mass_failures
        on
            builds.project = mass_failures.project
            and builds.environment = mass_failures.environment
            and builds.invocation_id = mass_failures.invocation_id
    where
        builds.invocation_status in ('success', 'failure')
        or mass_failures.invocation_id is not null

),

moments as (

    select *
    from {{ turning_points('judged', ['project', 'environment'], 'is_alike', ['ended_at', 'run_id']) }} as turning_points

),

observed as (

    select
        {{ surrogate_key(["'mass_failure'", 'project', 'environment']) }} as signal_key,
        'mass_failure' as kind,
        project,
        environment,
        ended_at as observed_at,
        expected_until,
        run_id as invocation_id,
        is_alike as is_bad,
        'error' as severity,
        case
            when is_alike
                then cast(alike_count as {{ dbt.type_string() }}) || ' of ' || cast(executed_count as {{ dbt.type_string() }})
                    || ' nodes failed alike'
            else 'nodes no longer fail alike'
        end as title,
        cause as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        cast(null as {{ dbt.type_string() }}) as owner,
        {{ json_object({'run_id': 'run_id', 'failed_nodes': 'alike_count', 'ci_url': 'ci_url', 'git_sha': 'git_sha'}) }} as evidence
    from moments

)

{{ signal_columns('observed', 'expected_until') }}
