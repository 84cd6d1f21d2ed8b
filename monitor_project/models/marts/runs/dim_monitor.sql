select
    cast(1 as bigint) as monitor_id,
    {{ as_of() }} as as_of
