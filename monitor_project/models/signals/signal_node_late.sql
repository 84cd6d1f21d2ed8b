-- Models, snapshots, seeds, sources and exposures that were not done by the local time that their meta names. Bad at the deadline, good once they are done.
with

late as (

    select * from {{ ref('int_node_deadlines') }}
    where
        done_at is null
        or done_at > due_at

),

moments as (

    select
        *,
        due_at as observed_at,
        true as is_bad,
        1 as moment_number
    from late

    union all

    -- One success ends all deadlines before it.
    select
        *,
        done_at as observed_at,
        false as is_bad,
        row_number() over (
            partition by project, environment, node_id, done_at
            order by due_at desc
        ) as moment_number
    from late
    where done_at is not null

),

observed as (

    select
        {{ surrogate_key(["'node_late'", 'project', 'environment', 'node_id']) }} as signal_key,
        'node_late' as kind,
        project,
        environment,
        observed_at,
        cast(null as {{ dbt.type_string() }}) as invocation_id,
        is_bad,
        'error' as severity,
        resource_type || ' ' || {{ node_label('node_name', 'node_id') }}
        || case when resource_type = 'source' then ' was not loaded by ' else ' was not done by ' end || due_time || ' ' || timezone as title,
        case
            when resource_type = 'exposure'
                then 'not done upstream: ' || {{ node_label('cast(null as ' ~ dbt.type_string() ~ ')', 'first_late_node_id') }}
                    || case when late_count > 1 then ' and ' || (late_count - 1) || ' more' else '' end
            when last_done_at is null then 'never done'
            else 'last done ' || substring(cast(last_done_at as {{ dbt.type_string() }}), 1, 16) || ' UTC'
        end as detail,
        node_id,
        owner,
        {{ json_object({'path': 'path', 'due_at': 'cast(due_at as ' ~ dbt.type_string() ~ ')'}) }} as evidence
    from moments
    where moment_number = 1

)

{{ signal_columns('observed') }}
