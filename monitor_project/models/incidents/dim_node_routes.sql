-- Where an alert on each node would be sent: the routing rules of incidents, applied to every node before anything fails.
{{ config(materialized='view') }}

with

nodes as (

    select * from {{ ref('dim_nodes') }}

),

severities as (

    select 'error' as severity
    union all
    select 'warning' as severity

),

watched as (

    select
        nodes.project,
        nodes.environment,
        nodes.node_id,
        nodes.node_name,
        case
            when nodes.resource_type in ('test', 'unit_test') then 'test_failed'
            when nodes.resource_type = 'source' then 'source_stale'
            else 'node_failed'
        end as kind,
        severities.severity,
        coalesce(nodes.owner, tested.owner) as owner,
        coalesce(tested.path, nodes.path) as path,
        coalesce(nodes.tags, '') || coalesce(tested.tags, '') as tags,
        coalesce(nodes.alert_settings, tested.alert_settings) as alert_settings,
        exposures.exposure_owners
    from nodes
    cross join severities
    left join nodes as tested
        on
            nodes.project = tested.project
            and nodes.environment = tested.environment
            and nodes.attached_node_id = tested.node_id
    left join {{ ref('int_exposure_owners') }} as exposures
        on
            nodes.project = exposures.project
            and nodes.environment = exposures.environment
            and coalesce(nodes.attached_node_id, nodes.node_id) = exposures.node_id
    where nodes.resource_type in ('model', 'snapshot', 'seed', 'source', 'test', 'unit_test')

),

{%- set keys = ['project', 'environment', 'node_id', 'severity'] %}

matched as (

    select
        *,
        row_number() over (
            partition by {{ keys | join(', ') }}, channel
            order by priority
        ) as channel_number
    from {{ matched_routes('watched', keys) }} as routes

),

final as (

    select distinct
        watched.project,
        watched.environment,
        watched.node_id,
        watched.node_name,
        watched.owner,
        watched.kind,
        watched.severity,
        coalesce(
            {{ json_text('watched.alert_settings', 'channel') }}, matched.channel, {{ default_channel() }}
        ) as channel,
        {{ alert_mention(json_text('watched.alert_settings', 'mention'), 'matched.mention') }} as mention,
        {{ is_alert_off('watched.alert_settings') }} as is_off
    from watched
    left join matched
        on
            watched.project = matched.project
            and watched.environment = matched.environment
            and watched.node_id = matched.node_id
            and watched.severity = matched.severity
            and matched.channel_number = 1

)

select * from final
