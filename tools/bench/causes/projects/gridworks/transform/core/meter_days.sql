select
    meters.meter_no,
    meters.customer_id,
    used.day,
    used.kwh::decimal(12, 3) as kwh,
    (used.kwh * tariffs.price_per_kwh * prices.price_factor + tariffs.standing_charge)::decimal(12, 2) as amount
from {{ ref('daily_use') }} as used
inner join {{ ref('base_meters') }} as meters on used.meter_no = meters.meter_no
inner join {{ ref('base_tariffs') }} as tariffs
    on meters.tariff_code = tariffs.tariff_code and used.day between tariffs.valid_from and tariffs.valid_to
left join {{ ref('market_prices') }} as prices on meters.price_zone = prices.price_zone
