-- The newest instant of the runs that is not after as_of. Models that only leave out what is later compare with it: they have nothing to do
-- in a run in which only the clock has moved.
with

instants as (

    select max(observed_at) as newest_at from {{ ref('fct_node_executions') }}
    where observed_at <= {{ as_of() }}

    union all

    select max(generated_at) as newest_at from {{ ref('fct_node_executions') }}
    where generated_at <= {{ as_of() }}

    union all

    select max(generated_at) as newest_at from {{ ref('stg_history__invocations') }}
    where generated_at <= {{ as_of() }}

    union all

    select max(ended_at) as newest_at from {{ ref('stg_history__job_runs') }}
    where ended_at <= {{ as_of() }}

)

select
    cast(1 as bigint) as newest_instant_id,
    max(newest_at) as newest_at,
    cast({{ dbt.dateadd('day', '-' ~ var('baseline_days'), 'max(newest_at)') }} as date) as baseline_from_date,
    cast({{ dbt.dateadd('day', '-' ~ var('judged_days'), 'max(newest_at)') }} as date) as judged_from_date
from instants
