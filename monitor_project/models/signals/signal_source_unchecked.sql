-- Sources with a freshness rule that `dbt source freshness` does not report: dbt leaves out a source whose query failed. Bad from the first
-- command without the source that runs source_unchecked_hours or more after its last check, or after the first command if there was none.
with

coverage as (

    select * from {{ ref('fct_source_coverage') }}

),

commands as (

    select
        project,
        environment,
        invocation_id,
        ended_at
    from {{ ref('fct_invocations') }}
    where command = 'freshness'

),

checks as (

    select distinct
        project,
        environment,
        node_id,
        invocation_id
    from {{ ref('fct_source_freshness') }}
    where freshness_status != 'runtime error'

),

moments as (

    select
        coverage.project,
        coverage.environment,
        coverage.node_id,
        coverage.node_name,
        coverage.owner,
        coverage.path,
        coverage.first_command_at,
        commands.invocation_id,
        commands.ended_at as observed_at,
        checks.node_id is not null as is_checked
    from coverage
    inner join commands
        on
            coverage.project = commands.project
            and coverage.environment = commands.environment
    left join checks
        on
            coverage.project = checks.project
            and coverage.environment = checks.environment
            and coverage.node_id = checks.node_id
            and commands.invocation_id = checks.invocation_id

),

sequenced as (

    select
        *,
        coalesce(
            max(case when is_checked then observed_at end) over (
                partition by project, environment, node_id
                order by observed_at, invocation_id
                rows between unbounded preceding and current row
            ),
            first_command_at
        ) as last_known_at
    from moments

),

judged as (

    select
        *,
        not is_checked
        and observed_at >= {{ dbt.dateadd('hour', var('source_unchecked_hours'), 'last_known_at') }} as is_bad
    from sequenced

),

turning_points as (

    select *
    from {{ turning_points('judged', ['project', 'environment', 'node_id'], 'is_bad', ['observed_at', 'invocation_id']) }}
        as turning_points

),

observed as (

    select
        {{ surrogate_key(["'source_unchecked'", 'project', 'environment', 'node_id']) }} as signal_key,
        'source_unchecked' as kind,
        project,
        environment,
        observed_at,
        expected_until,
        invocation_id,
        is_bad,
        'warning' as severity,
        'source ' || node_name || ' is not checked' as title,
        'dbt source freshness has not checked it since '
        || substring(cast(last_known_at as {{ dbt.type_string() }}), 1, 16) || ' UTC' as detail,
        node_id,
        owner,
        {{ json_object({'path': 'path'}) }} as evidence
    from turning_points

)

{{ signal_columns('observed', 'expected_until') }}
