-- Models and snapshots that are older than they may be. Bad from the instant at which the age was reached, good at the next success.
with

gaps as (

    select * from {{ ref('int_model_gaps') }}
    where due_at <= {{ as_of() }}

),

moments as (

    select
        *,
        due_at as observed_at,
        -- No command observed it.
        cast(null as {{ dbt.type_string() }}) as observing_invocation_id,
        true as is_bad
    from gaps

    union all

    select
        *,
        next_success_at as observed_at,
        next_invocation_id as observing_invocation_id,
        false as is_bad
    from gaps
    where next_success_at is not null

),

observed as (

    select
        {{ surrogate_key(["'model_stale'", 'project', 'environment', 'node_id']) }} as signal_key,
        'model_stale' as kind,
        project,
        environment,
        observed_at,
        observing_invocation_id as invocation_id,
        is_bad,
        'error' as severity,
        {{ dbt.split_part('node_id', "'.'", 1) }} || ' ' || {{ node_label('node_name', 'node_id') }} || ' is stale' as title,
        'last success ' || substring(cast(last_success_at as {{ dbt.type_string() }}), 1, 16) || ' UTC; it may be '
        || case
            when max_age_seconds = 3600 then 'an hour'
            when max_age_seconds / 3600 = floor(max_age_seconds / 3600)
                then cast(cast(max_age_seconds / 3600 as bigint) as {{ dbt.type_string() }}) || ' hours'
            else cast(max_age_seconds / 3600 as {{ dbt.type_string() }}) || ' hours'
        end || ' old' as detail,
        node_id,
        owner,
        {{ json_object({'path': 'path', 'last_success_at': 'cast(last_success_at as ' ~ dbt.type_string() ~ ')'}) }} as evidence
    from moments

)

{{ signal_columns('observed') }}
