-- Compares each build with the usual number of results of its command and selection.
with

builds as (

    select * from {{ ref('fct_invocations') }}
    where
        is_build
        and not is_retry
        and invocation_id is not null
        and invocation_status != 'interrupted'

),

compared as (

    select *
    from {{ against_baseline(
        'builds', 'result_count', ['project', 'environment', 'command', 'selection'], ['ended_at', 'run_id']
    ) }} as compared_builds

),

final as (

    select
        project,
        environment,
        run_id,
        command,
        selection,
        ended_at,
        result_count,
        cast(usual_value as double) as usual_result_count,
        cast(prior_run_count as bigint) as prior_build_count,
        case
            when prior_run_count >= {{ var('baseline_least_runs') }}
                then result_count < usual_value * {{ var('node_drop_rate') }}
        end as is_drop
    from compared

)

select * from final
