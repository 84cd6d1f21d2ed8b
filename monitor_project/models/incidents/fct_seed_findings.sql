-- What a line of a seed, or a node's meta.alerts with a due_time, names and nothing has: a kind of signal or a severity that does not exist is an error, since the line never matches. A
-- project, environment or owner that no collected command has may still come. A time of day, cron expression, weekday,
-- time zone or calendar that cannot be read is not used.
with

named as (

    {%- for seed, columns in {
        'alert_routes': ['kind', 'severity', 'project', 'environment', 'owner', 'exposure_owner', 'digest', 'quiet_from', 'quiet_to', 'timezone'],
        'alert_mutes': ['kind', 'node_id'],
        'run_cadences': ['project', 'environment', 'due_time', 'days', 'timezone', 'calendar']
    }.items() %}
    {%- for column in columns %}
    select
        '{{ seed }}' as seed_name,
        '{{ column }}' as column_name,
        {{ column }} as named_value
    from {{ ref(seed) }}
    where {{ column }} is not null
    union
    {%- endfor %}
    {%- endfor %}

    {%- for setting in ['due_time', 'due_days', 'timezone', 'calendar'] %}
    select
        'meta.alerts' as seed_name,
        '{{ setting }}' as column_name,
        {{ due_time_of('alert_settings') if setting == 'due_time' else json_text('alert_settings', setting) }} as named_value
    from {{ ref('dim_nodes') }}
    where {{ json_text('alert_settings', 'due_time') }} is not null and {{ json_text('alert_settings', setting) }} is not null
    {{ 'union' if not loop.last }}
    {%- endfor %}

),

known as (

    {%- for kind in signal_kinds() %}
    select
        'kind' as column_name,
        '{{ kind }}' as known_value
    union
    {%- endfor %}
    {%- for severity in ['error', 'warning'] %}
    select
        'severity' as column_name,
        '{{ severity }}' as known_value
    union
    {%- endfor %}
    select
        'project' as column_name,
        project as known_value
    from {{ ref('dim_environments') }}
    union
    select
        'environment' as column_name,
        environment as known_value
    from {{ ref('dim_environments') }}
    union
    select
        'owner' as column_name,
        owner as known_value
    from {{ ref('dim_nodes') }}
    union
    select
        'exposure_owner' as column_name,
        owner as known_value
    from {{ ref('dim_nodes') }}
    where resource_type = 'exposure'
    union
    select
        'node_id' as column_name,
        node_id as known_value
    from {{ ref('dim_nodes') }}
    union
    select
        'due_time' as column_name,
        due_time as known_value
    from {{ ref('int_due_times') }}
    where due_time != ''
    union
    select
        'calendar' as column_name,
        calendar as known_value
    from {{ ref('holidays') }}
    union
    select
        'digest' as column_name,
        digest as known_value
    from {{ ref('alert_routes') }}
    where {{ weekdays_of('digest') }} != ''
    union
    select
        'days' as column_name,
        days as known_value
    from {{ ref('run_cadences') }}
    where {{ weekdays_of('days') }} != ''
    union
    select
        'due_days' as column_name,
        {{ json_text('alert_settings', 'due_days') }} as known_value
    from {{ ref('dim_nodes') }}
    where {{ weekdays_of(json_text('alert_settings', 'due_days')) }} != ''
    union
    {%- for time in ['quiet_from', 'quiet_to'] %}
    select
        '{{ time }}' as column_name,
        {{ time }} as known_value
    from {{ ref('alert_routes') }}
    where {{ seconds_of_day(time) }} is not null
    union
    {%- endfor %}
    select
        'timezone' as column_name,
        name as known_value
    from {{ known_timezones() }} as zones

),

final as (

    select
        {{ surrogate_key(['named.seed_name', 'named.column_name', 'named.named_value']) }} as seed_finding_id,
        named.seed_name,
        named.column_name,
        named.named_value,
        named.column_name in ('kind', 'severity', 'due_time', 'days', 'due_days', 'calendar', 'digest', 'quiet_from', 'quiet_to', 'timezone') as is_error
    from named
    left join known
        on
            named.column_name = known.column_name
            and named.named_value = known.known_value
    where known.known_value is null

)

select * from final
