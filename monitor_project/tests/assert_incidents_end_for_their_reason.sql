-- An incident that is closed as unobserved has no observation between its last bad one and its end; one that is resolved has a good one at its end.
-- Failing rows: incidents for which this is not so.
{{ config(tags=['all_tests']) }}

with

incidents as (

    select * from {{ ref('fct_incidents') }}

),

observations as (

    select * from {{ ref('int_signals_unioned') }}
    where observed_at <= {{ as_of() }}

),

observed as (

    select
        incidents.incident_id,
        max(case when observations.observed_at > incidents.last_bad_at then 1 else 0 end) as has_later_observation,
        max(case when observations.observed_at = incidents.ended_at and not observations.is_bad then 1 else 0 end) as has_good_end
    from incidents
    inner join observations
        on
            incidents.signal_key = observations.signal_key
            and incidents.ended_at >= observations.observed_at
    group by incidents.incident_id

)

select
    incidents.incident_id,
    incidents.incident_status,
    incidents.closed_reason,
    observed.has_later_observation,
    observed.has_good_end
from incidents
inner join observed
    on incidents.incident_id = observed.incident_id
where
    (incidents.closed_reason = 'unobserved' and observed.has_later_observation = 1)
    or (incidents.incident_status = 'resolved' and observed.has_good_end = 0)
