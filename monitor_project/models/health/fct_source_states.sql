-- Whether each source is fresh now, by its newest check. A source whose last load has passed its limit since a good check is unknown, not stale:
-- it may have been loaded since.
{%- set unchecked_since = dbt.dateadd('hour', '-' ~ var('source_unchecked_hours'), as_of()) %}

with

places_with_nodes as (

    select distinct
        project,
        environment
    from {{ ref('dim_nodes') }}

),

sla as (

    select * from {{ ref('fct_source_sla') }}

),

-- Sources with a freshness rule; where no manifest was found, those that were checked.
sources as (

    select
        project,
        environment,
        node_id,
        node_name,
        owner,
        coverage_status,
        -- A check of some sources leaves out the others.
        coverage_status = 'vanished' as is_left_out
    from {{ ref('fct_source_coverage') }}

    union all

    select
        sla.project,
        sla.environment,
        sla.node_id,
        {{ node_label('cast(null as ' ~ dbt.type_string() ~ ')', 'sla.node_id') }} as node_name,
        cast(null as {{ dbt.type_string() }}) as owner,
        'checked' as coverage_status,
        false as is_left_out
    from sla
    left join places_with_nodes
        on
            sla.project = places_with_nodes.project
            and sla.environment = places_with_nodes.environment
    where places_with_nodes.project is null

),

checks as (

    select
        *,
        {{ add_seconds('max_loaded_at', 'warn_after_seconds') }} as late_at,
        row_number() over (
            partition by project, environment, node_id
            order by observed_at desc, invocation_id desc
        ) as newest_number
    from {{ ref('fct_source_freshness') }}

),

newest as (

    select * from checks
    where newest_number = 1

),

final as (

    select
        sources.project,
        sources.environment,
        sources.node_id,
        sources.node_name,
        sources.owner,
        case
            when newest.node_id is null or sources.coverage_status in ('never run', 'never checked') then 'unknown'
            when sources.is_left_out and newest.observed_at <= {{ unchecked_since }} then 'unknown'
            when newest.freshness_status = 'runtime error' or newest.outcome = 'unknown' then 'unknown'
            when newest.outcome = 'failure' then 'stale'
            when newest.stale_at <= {{ as_of() }} or (newest.outcome = 'success' and newest.late_at <= {{ as_of() }}) then 'unknown'
            when newest.outcome = 'warning' then 'late'
            else 'fresh'
        end as source_state,
        case
            when sources.coverage_status = 'never run' then 'dbt source freshness has not run'
            when newest.node_id is null or sources.coverage_status = 'never checked' then 'it was never checked'
            when sources.is_left_out and newest.observed_at <= {{ unchecked_since }} then 'the newest dbt source freshness left it out'
            when newest.freshness_status = 'runtime error' then 'its freshness query failed'
            when newest.outcome = 'unknown' then 'its status is not known to this version'
            when newest.is_empty then 'the table is empty'
            when newest.outcome = 'failure' then 'its last load is older than the limit'
            when newest.stale_at <= {{ as_of() }} then 'its last known load has passed the limit since the check'
            when newest.outcome = 'success' and newest.late_at <= {{ as_of() }}
                then 'its last known load has passed the warning limit since the check'
            when newest.outcome = 'warning' then 'its last load is older than the warning limit'
        end as reason,
        newest.max_loaded_at,
        newest.age_seconds,
        cast(coalesce(newest.error_after_seconds, newest.warn_after_seconds) as bigint) as limit_seconds,
        newest.observed_at as last_checked_at,
        newest.stale_at,
        sla.check_count,
        sla.fresh_check_rate,
        sla.fresh_time_rate
    from sources
    left join newest
        on
            sources.project = newest.project
            and sources.environment = newest.environment
            and sources.node_id = newest.node_id
    left join sla
        on
            sources.project = sla.project
            and sources.environment = sla.environment
            and sources.node_id = sla.node_id

)

select * from final
