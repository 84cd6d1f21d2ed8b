-- The incidents of each environment, the open errors first, then by age, as many as a page can hold, with what is known about each and how often its signal was bad before.
with

sequenced as (

    select
        *,
        lag(recovery_seconds) over (
            partition by signal_key
            order by started_at
        ) as prior_recovery_seconds,
        row_number() over (
            partition by project, environment, case when incident_status = 'open' then 'open' else 'ended' end
            order by case when incident_status = 'open' and severity = 'error' then 0 else 1 end asc, coalesce(ended_at, started_at) desc, incident_id asc
        ) as newest_number
    from {{ ref('fct_incidents') }}

),

shown as (

    select * from sequenced
    where newest_number <= {{ var('report_incidents') }}

),

earlier as (

    select
        shown.incident_id,
        count(*) as prior_count
    from shown
    inner join sequenced as priors
        on
            shown.signal_key = priors.signal_key
            and shown.started_at > priors.started_at
            and priors.started_at > {{ dbt.dateadd('day', '-' ~ var('slo_days'), 'shown.started_at') }}
    group by shown.incident_id

),

channels as (

    select
        incident_id,
        {{ dbt.listagg('channel', "', '", 'order by channel') }} as channels
    from {{ ref('fct_incident_routes') }}
    group by incident_id

),

impacts as (

    select
        project,
        environment,
        invocation_id,
        node_id,
        skipped_model_count,
        outdated_model_count,
        downstream_model_count,
        exposure_names
    from {{ ref('fct_failure_impact') }}

),

final as (

    select
        shown.incident_id,
        shown.signal_key,
        shown.incident_status,
        shown.kind,
        context.severity,
        shown.project,
        shown.environment,
        shown.title,
        shown.detail,
        shown.node_id,
        shown.owner,
        shown.started_at,
        shown.last_bad_at,
        shown.ended_at,
        shown.closed_reason,
        shown.recovery_seconds,
        shown.bad_count,
        context.is_muted,
        context.muted_until,
        context.mute_reason,
        context.is_acknowledged,
        context.acknowledged_at,
        context.acknowledged_by,
        context.acknowledgement_note,
        context.acknowledged_until,
        context.resolution,
        context.path,
        context.git_sha,
        context.git_branch,
        context.ci_url,
        context.last_success_git_sha,
        context.change_count,
        context.changes,
        context.likely_cause,
        context.storm_cause,
        channels.channels,
        impacts.downstream_model_count,
        impacts.skipped_model_count,
        impacts.outdated_model_count,
        impacts.exposure_names,
        cast(coalesce(earlier.prior_count, 0) as bigint) as prior_count,
        case when earlier.prior_count > 0 then shown.prior_recovery_seconds end as prior_recovery_seconds
    from shown
    inner join {{ ref('fct_incident_context') }} as context
        on shown.incident_id = context.incident_id
    left join channels
        on shown.incident_id = channels.incident_id
    left join impacts
        on
            shown.project = impacts.project
            and shown.environment = impacts.environment
            and shown.last_bad_invocation_id = impacts.invocation_id
            and shown.node_id = impacts.node_id
    left join earlier
        on shown.incident_id = earlier.incident_id

)

select * from final
