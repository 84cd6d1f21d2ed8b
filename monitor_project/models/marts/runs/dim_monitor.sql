select
    cast(1 as bigint) as monitor_id,
    {{ as_of() }} as as_of,
    cast({{ var("slo_days") }} as bigint) as slo_days,
    cast({{ var("baseline_days") }} as bigint) as baseline_days
