-- Each bad observation of an alerting environment is in exactly one incident. Failing rows: kinds whose counts differ.
{{ config(tags=['all_tests']) }}

with

observed as (

    select
        kind,
        count(*) as bad_count
    from {{ ref('int_signals_unioned') }}
    where
        is_bad
        and observed_at <= {{ as_of() }}
        and environment in ({{ text_list(alerting_environments()) }})
    group by kind

),

grouped as (

    select
        kind,
        sum(bad_count) as bad_count
    from {{ ref('fct_incidents') }}
    group by kind

)

select
    coalesce(observed.kind, grouped.kind) as kind,
    observed.bad_count as observed_count,
    grouped.bad_count as incident_bad_count
from observed
full outer join grouped
    on observed.kind = grouped.kind
where
    observed.bad_count is null
    or grouped.bad_count is null
    or observed.bad_count != grouped.bad_count
