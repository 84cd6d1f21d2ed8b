-- Builds against the number of nodes that the same command with the same selection usually runs.
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

    select
        *,
        count(*) over (
            partition by project, environment, command, selection
            order by ended_at, run_id
            rows between {{ var('baseline_runs') }} preceding and 1 preceding
        ) as prior_build_count,
        {{ rolling_median(
            'result_count', ['project', 'environment', 'command', 'selection'], ['ended_at', 'run_id'], var('baseline_runs')
        ) }} as usual_result_count
    from builds

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
        cast(usual_result_count as double) as usual_result_count,
        cast(prior_build_count as bigint) as prior_build_count,
        case
            when prior_build_count >= {{ var('baseline_least_runs') }}
                then result_count < usual_result_count * {{ var('node_drop_rate') }}
        end as is_drop
    from compared

)

select * from final
