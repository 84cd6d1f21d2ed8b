-- Builds that `offdag run` started and that take too long: they run on, or were killed together with offdag. Bad from that instant, good when
-- they end, or when the next build with the same command line does.
with

starts as (

    select * from {{ ref('int_build_starts') }}
    where
        overdue_at <= {{ as_of() }}
        and (settled_at is null or settled_at > overdue_at)

),

moments as (

    select
        *,
        overdue_at as observed_at,
        true as is_bad
    from starts

    union all

    select
        *,
        settled_at as observed_at,
        false as is_bad
    from starts
    where settled_at is not null

),

observed as (

    select
        {{ surrogate_key(["'run_stuck'", 'job_run_id']) }} as signal_key,
        'run_stuck' as kind,
        project,
        environment,
        observed_at,
        -- A build is observed by its results alone.
        cast(null as {{ dbt.type_string() }}) as invocation_id,
        is_bad,
        'error' as severity,
        'a build has not ended: ' || command as title,
        'started ' || substring(cast(started_at as {{ dbt.type_string() }}), 1, 16) || ' UTC; '
        || coalesce('it usually takes ' || {{ duration_text('usual_seconds') }}, 'it may take ' || {{ duration_text('timeout_seconds') }}) as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        cast(null as {{ dbt.type_string() }}) as owner,
        {{ json_object({'job_run_id': 'job_run_id', 'started_at': 'cast(started_at as ' ~ dbt.type_string() ~ ')'}) }} as evidence
    from moments

)

{{ signal_columns('observed') }}
