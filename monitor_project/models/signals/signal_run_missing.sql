-- Builds that are overdue by their cadence. Bad from the instant at which the build was due, good at the end of the next build.
with

gaps as (

    select * from {{ ref('fct_run_gaps') }}

),

moments as (

    select
        *,
        due_at as observed_at,
        last_run_id as invocation_id,
        true as is_bad
    from gaps

    union all

    select
        *,
        next_build_at as observed_at,
        next_run_id as invocation_id,
        false as is_bad
    from gaps
    where next_build_at is not null

),

observed as (

    select
        {{ surrogate_key([
            "'run_missing'", 'project', "environment || coalesce('|' || command, '') || coalesce('|' || selection, '') || coalesce('|' || due_time, '')"
        ]) }} as signal_key,
        'run_missing' as kind,
        project,
        environment,
        observed_at,
        invocation_id,
        is_bad,
        'error' as severity,
        case
            when selection is not null then 'a build of ' || selection
            when command is not null then 'a dbt ' || command
            else 'a build'
        end || case when local_time is null then ' is missing' else ' was not done by ' || local_time || ' ' || timezone end as title,
        coalesce(
            'last build ' || substring(cast(last_build_at as {{ dbt.type_string() }}), 1, 16) || ' UTC',
            'no build so far'
        ) || case when local_time is null then '; one is expected every ' else '; a build of the ' end
        || case
            when every_hours = 1 then 'hour'
            when every_hours < 1000000 and every_hours = floor(every_hours) then cast(cast(every_hours as bigint) as {{ dbt.type_string() }}) || ' hours'
            else cast(every_hours as {{ dbt.type_string() }}) || ' hours'
        end || case when local_time is null then '' else ' before counts' end as detail,
        cast(null as {{ dbt.type_string() }}) as node_id,
        cast(null as {{ dbt.type_string() }}) as owner,
        {{ json_object({'last_build_at': 'cast(last_build_at as ' ~ dbt.type_string() ~ ')'}) }} as evidence
    from moments

)

{{ signal_columns('observed') }}
