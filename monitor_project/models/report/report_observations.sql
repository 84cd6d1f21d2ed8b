-- The newest observations of the signals of the incidents that the report shows. A row stands for all until holds_until that gave the same.
with

signals as (

    select distinct signal_key from {{ ref('report_incidents') }}

),

numbered as (

    select
        observations.signal_key,
        observations.observed_at,
        observations.holds_until,
        observations.is_bad,
        observations.severity,
        row_number() over (
            partition by observations.signal_key
            order by observations.observed_at desc, case when observations.is_bad then 1 else 0 end, observations.invocation_id desc
        ) as newest_number
    from {{ ref('int_signals_unioned') }} as observations
    inner join signals
        on observations.signal_key = signals.signal_key
    where observations.observed_at <= (select dim_monitor.as_of from {{ ref('dim_monitor') }} as dim_monitor)

),

final as (

    select
        signal_key,
        cast(newest_number as bigint) as newest_number,
        observed_at,
        holds_until,
        is_bad,
        severity
    from numbered
    where newest_number <= {{ var('report_observations') }}

)

select * from final
