-- What changed between the last success of an incident's node and its first bad observation, in one line: the node, the node that it tests,
-- and every node upstream. Only for incidents that can still be announced.
with

-- Formatting and comments change nothing.
formatted as (

    select
        incident_id,
        project,
        environment,
        node_id,
        node_name,
        is_start,
        last_success_run_id,
        is_compared,
        nullif(change, 'formatting') as change
    from {{ ref('int_incident_upstream') }}

),

upstream as (

    select
        changes.incident_id,
        changes.project,
        changes.environment,
        changes.last_success_run_id,
        changes.is_compared,
        changes.node_name,
        changes.change,
        coalesce(changes.is_start and incidents.node_id = changes.node_id, false) as is_own,
        row_number() over (
            partition by changes.incident_id, changes.change is not null
            order by case when changes.is_start then 0 else 1 end, changes.node_name, changes.node_id
        ) as change_number
    from formatted as changes
    inner join {{ ref('fct_incidents') }} as incidents
        on changes.incident_id = incidents.incident_id

),

summarized as (

    select
        incident_id,
        project,
        environment,
        last_success_run_id,
        count(change) as change_count,
        is_compared,
        {{ dbt.listagg(
            "case when change_number <= 4 then "
            ~ "case change "
            ~ "when 'new' then 'new node ' || node_name "
            ~ "when 'removed' then 'removed node ' || node_name "
            ~ "else case when is_own then 'its own ' || change else change || ' of ' || node_name end end end",
            "', '",
            "order by change_number"
        ) }} as changes
    from upstream
    where last_success_run_id is not null
    group by incident_id, project, environment, last_success_run_id, is_compared

),

invocations as (

    select * from {{ ref('fct_invocations') }}

),

final as (

    select
        summarized.incident_id,
        summarized.project,
        summarized.environment,
        summarized.last_success_run_id,
        invocations.git_sha as last_success_git_sha,
        cast(
            case when summarized.is_compared or summarized.change_count > 0 then summarized.change_count end as bigint
        ) as change_count,
        summarized.changes || case
            when summarized.change_count > 4
                then ' and ' || cast(summarized.change_count - 4 as {{ dbt.type_string() }}) || ' more'
            else ''
        end as changes
    from summarized
    left join invocations
        on
            summarized.project = invocations.project
            and summarized.environment = invocations.environment
            and summarized.last_success_run_id = invocations.run_id

)

select * from final
