-- The instants at which a build or a node has to be done, by the rules of run_cadences and of meta.alerts: a local time or a cron expression,
-- on some weekdays, but not on the holidays of a calendar. From the first build or since of the rule's own lines (of nodes: two months ago)
-- to due_days_ahead, 10,000 days at most. A rule without a time gives the days on which a build may be due.
with

first_builds as (

    select
        project,
        environment,
        min(ended_at) as ended_at
    from {{ ref('fct_invocations') }}
    where is_build
    group by project, environment

),

cadences as (

    select
        {{ cron_of('cadences.due_time') }} is not null as is_by_time,
        cadences.due_time,
        {{ weekdays_of('cadences.days') }} as days,
        coalesce(cadences.timezone, '') as timezone,
        coalesce(cadences.calendar, '') as calendar,
        least(
            coalesce(cast(cadences.since as {{ dbt.type_timestamp() }}), {{ as_of() }}),
            coalesce(first_builds.ended_at, {{ as_of() }})
        ) as first_at
    from {{ ref('run_cadences') }} as cadences
    left join first_builds
        on
            cadences.project = first_builds.project
            and cadences.environment = first_builds.environment

),

given_rules as (

    select
        due_time,
        days,
        timezone,
        calendar,
        first_at
    from cadences
    where is_by_time

    union all

    -- Also of lines with a time, which may turn out to be none.
    select
        '' as due_time,
        days,
        '' as timezone,
        calendar,
        first_at
    from cadences
    where
        days != ''
        or calendar != ''

    union all

    select
        {{ due_time_of('alert_settings') }} as due_time,
        {{ weekdays_of(json_text('alert_settings', 'due_days')) }} as days,
        coalesce({{ json_text('alert_settings', 'timezone') }}, '') as timezone,
        coalesce({{ json_text('alert_settings', 'calendar') }}, '') as calendar,
        {{ dbt.dateadd('day', -61, as_of()) }} as first_at
    from {{ ref('dim_nodes') }}
    where {{ cron_of(due_time_of('alert_settings')) }} is not null

),

rules as (

    select
        given_rules.due_time,
        given_rules.days,
        given_rules.timezone,
        given_rules.calendar,
        coalesce(max(zones.name), 'UTC') as zone,
        coalesce({{ cron_of('given_rules.due_time') }}, '0 0 * * *') as cron,
        -- A day more, since local days begin earlier or later.
        {{ add_seconds(dbt.date_trunc('day', 'min(given_rules.first_at)'), -86400) }} as first_day
    from given_rules
    left join {{ known_timezones() }} as zones
        on given_rules.timezone = zones.name
    group by given_rules.due_time, given_rules.days, given_rules.timezone, given_rules.calendar

),

crons as (

    select distinct cron from rules

),

-- Names of months and weekdays as numbers. Sunday is 0, and 7 as the end of a range.
fields as (

    {%- set months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'] %}
    {%- set weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'] %}
    {%- set ranges = [('minute', 0, 59), ('hour', 0, 23), ('day', 1, 31), ('month', 1, 12), ('weekday', 0, 7)] %}
    {%- for field, least, most in ranges %}
    {%- set text = namespace(sql=dbt.split_part('cron', "' '", loop.index)) %}
    {%- if field == 'month' %}
    {%- for name in months %}{% set text.sql = "replace(" ~ text.sql ~ ", '" ~ name ~ "', ' " ~ loop.index ~ " ')" %}{% endfor %}
    {%- elif field == 'weekday' %}
    {%- set text.sql = "replace(" ~ text.sql ~ ", '-sun', '- 7 ')" %}
    {%- for name in weekdays %}{% set text.sql = "replace(" ~ text.sql ~ ", '" ~ name ~ "', ' " ~ loop.index0 ~ " ')" %}{% endfor %}
    {%- endif %}
    select
        cron,
        '{{ field }}' as field,
        {{ text.sql }} as field_text,
        {{ least }} as least,
        {{ most }} as most
    from crons
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

numbers as (

    {%- for number in range(61) %}
    select cast({{ number }} as bigint) as number
    {{ 'union all' if not loop.last }}
    {%- endfor %}

),

-- The parts between the commas, such as 5, 8-18 or */15.
parts as (

    select
        fields.cron,
        fields.field,
        fields.least,
        fields.most,
        split_part(split_part(fields.field_text, ',', numbers.number), '/', 1) as range_text,
        split_part(split_part(fields.field_text, ',', numbers.number), '/', 2) as step_text
    from fields
    cross join numbers
    where
        numbers.number > 0
        and split_part(fields.field_text, ',', numbers.number) != ''

),

ranges as (

    select
        cron,
        field,
        least,
        most,
        case
            when range_text = '*' then least
            when range_text similar to ' *[0-9]{1,2} *(- *[0-9]{1,2} *)?' then cast(trim({{ dbt.split_part('range_text', "'-'", 1) }}) as bigint)
        end as first_number,
        case
            when range_text = '*' or (range_text similar to ' *[0-9]{1,2} *' and step_text != '') then most
            when range_text similar to ' *[0-9]{1,2} *' then cast(trim(range_text) as bigint)
            when range_text similar to ' *[0-9]{1,2} *- *[0-9]{1,2} *' then cast(trim({{ dbt.split_part('range_text', "'-'", 2) }}) as bigint)
        end as last_number,
        case
            when step_text = '' then 1
            when step_text similar to '[1-9][0-9]?' then cast(step_text as bigint)
        end as step
    from parts

),

-- One part that is no range within its field, and the whole expression is left out.
readable as (

    select cron
    from ranges
    group by cron
    having count(*) = sum(case when first_number >= least and last_number between first_number and most and step > 0 then 1 else 0 end)

),

matched as (

    select
        ranges.cron,
        ranges.field,
        numbers.number % case when ranges.field = 'weekday' then 7 else 60 end as number,
        max(
            case
                when
                    numbers.number between ranges.first_number and ranges.last_number
                    and (numbers.number - ranges.first_number) % ranges.step = 0
                    then 1
                else 0
            end
        ) as is_matched
    from ranges
    inner join readable
        on ranges.cron = readable.cron
    cross join numbers
    group by ranges.cron, ranges.field, numbers.number % case when ranges.field = 'weekday' then 7 else 60 end

),

field_numbers as (

    select
        cron,
        field,
        number
    from matched
    where is_matched = 1

),

digits as (

    select number from numbers
    where number < 10

),

days as (

    select
        day,
        {{ weekday('day') }} as weekday,
        extract(day from day) as day_number,
        extract(month from day) as month_number,
        (position({{ weekday('day') }} in 'sunmontuewedthufrisat') - 1) / 3 as weekday_number
    from (
        select
            {{ add_seconds(
                dbt.date_trunc('day', as_of()),
                '86400 * (' ~ var('due_days_ahead') ~ ' - 1000 * thousands.number - 100 * hundreds.number - 10 * tens.number - ones.number)'
            ) }} as day
        from digits as thousands
        cross join digits as hundreds
        cross join digits as tens
        cross join digits as ones
    ) as every_day

),

-- As cron has it: with a day of the month and a weekday, either is enough.
rule_days as (

    select
        rules.*,
        days.day
    from rules
    cross join days
    left join field_numbers as months
        on
            rules.cron = months.cron
            and months.field = 'month'
            and days.month_number = months.number
    left join field_numbers as month_days
        on
            rules.cron = month_days.cron
            and month_days.field = 'day'
            and days.day_number = month_days.number
    left join field_numbers as weekdays
        on
            rules.cron = weekdays.cron
            and weekdays.field = 'weekday'
            and days.weekday_number = weekdays.number
    left join {{ ref('holidays') }} as holidays
        on
            rules.calendar = holidays.calendar
            and cast(days.day as date) = holidays.day
    where
        days.day >= rules.first_day
        and months.number is not null
        and (rules.days = '' or position(days.weekday in rules.days) > 0)
        and holidays.day is null
        and case
            when {{ dbt.split_part('rules.cron', "' '", 3) }} like '*%' or {{ dbt.split_part('rules.cron', "' '", 5) }} like '*%'
                then month_days.number is not null and weekdays.number is not null
            else coalesce(month_days.number, weekdays.number) is not null
        end

),

instants as (

    select
        rule_days.due_time,
        rule_days.days,
        rule_days.timezone,
        rule_days.calendar,
        rule_days.zone,
        {{ instant_of(add_seconds('rule_days.day', 'hours.number * 3600 + minutes.number * 60'), 'rule_days.zone') }} as due_at
    from rule_days
    inner join field_numbers as hours
        on
            rule_days.cron = hours.cron
            and hours.field = 'hour'
    inner join field_numbers as minutes
        on
            rule_days.cron = minutes.cron
            and minutes.field = 'minute'

),

-- Of times that the clock skips in spring, and those an hour later, one.
final as (

    select distinct
        {{ surrogate_key(['due_time', 'days', 'timezone', 'calendar', 'due_at']) }} as due_time_id,
        due_time,
        days,
        timezone,
        calendar,
        zone,
        due_at
    from instants

)

select * from final
