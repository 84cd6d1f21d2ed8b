-- Builds that did not start (parse error, no connection), were interrupted, failed without results, or whose results were refused. The next
-- build with results is good, with or without failures.
with

builds as (

    select
        *,
        lag(ended_at) over (
            partition by project, environment
            order by ended_at, run_id
        ) as prior_ended_at
    from {{ ref('fct_invocations') }}
    where
        is_build
        and (
            invocation_status in ('did not start', 'interrupted', 'success', 'failure')
            or (invocation_status = 'unknown' and invocation_id is null)
        )

),

observed as (

    select
        {{ surrogate_key(["'run_incomplete'", 'project', 'environment']) }} as signal_key,
        'run_incomplete' as kind,
        project,
        environment,
        ended_at as observed_at,
        {{ expected_until('ended_at', 'prior_ended_at') }} as expected_until,
        run_id as invocation_id,
        invocation_status in ('did not start', 'interrupted')
        or (invocation_status in ('failure', 'unknown') and invocation_id is null) as is_bad,
        'error' as severity,
        case invocation_status
            when 'interrupted' then 'the build was stopped'
            when 'failure' then 'the build failed, and dbt wrote no results'
            when 'unknown' then 'the results of the build were refused'
            else 'the build did not start'
        end as title,
        coalesce('signal ' || exit_signal, {{ without_literals('error_line') }}, 'exit code ' || cast(exit_code as {{ dbt.type_string() }})) as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        cast(null as {{ dbt.type_string() }}) as owner,
        {{ json_object({'run_id': 'run_id', 'ci_url': 'ci_url', 'git_sha': 'git_sha'}) }} as evidence
    from builds

)

{{ signal_columns('observed', 'expected_until') }}
