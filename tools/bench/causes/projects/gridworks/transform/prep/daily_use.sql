with differences as (
    select
        meter_no,
        read_on as day,
        register_kwh - lag(register_kwh) over (partition by meter_no order by read_on) as register_difference
    from {{ ref('base_readings') }}
)

select
    differences.meter_no,
    meters.feeder_code,
    differences.day,
    round(differences.register_difference * meters.ct_ratio, 3) as kwh
from differences
inner join {{ ref('base_meters') }} as meters on differences.meter_no = meters.meter_no
where differences.register_difference is not null
