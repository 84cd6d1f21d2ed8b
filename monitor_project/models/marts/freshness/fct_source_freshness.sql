with

checks as (

    select * from {{ ref('stg_history__source_freshness') }}

),

-- In sources.json, error means stale and runtime error means that the query failed.
judged as (

    select
        *,
        lower(status) as freshness_status,
        case lower(status)
            when 'pass' then 'success'
            when 'warn' then 'warning'
            when 'error' then 'failure'
            when 'runtime error' then 'failure'
            else 'unknown'
        end as outcome,
        max_loaded_at < cast('{{ var("first_possible_load_date") }}' as {{ dbt.type_timestamp() }}) as has_no_load
    from checks

),

final as (

    select
        {{ surrogate_key(['project', 'environment', 'invocation_id', 'unique_id', 'run_date']) }} as source_check_id,
        project,
        environment,
        invocation_id,
        unique_id as node_id,
        freshness_status,
        outcome,
        coalesce(has_no_load, false) as is_empty,
        case when not has_no_load then max_loaded_at end as max_loaded_at,
        case when not has_no_load then age_seconds end as age_seconds,
        warn_after_seconds,
        error_after_seconds,
        coalesce(checked_at, generated_at) as observed_at,
        case
            when not has_no_load
                then {{ add_seconds('max_loaded_at', 'coalesce(error_after_seconds, warn_after_seconds)') }}
        end as stale_at,
        message,
        generated_at,
        run_date
    from judged
    where coalesce(checked_at, generated_at) <= {{ as_of() }}

)

select * from final
