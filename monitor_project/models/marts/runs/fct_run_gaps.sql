-- Overdue builds: no build of a cadence ended by the instant at which it was due, whenever the monitor runs.
with

expectations as (

    select * from {{ ref('int_run_expectations') }}

),

final as (

    select
        run_expectation_id as run_gap_id,
        project,
        environment,
        command,
        selection,
        last_run_id,
        last_build_at,
        every_hours,
        due_at,
        next_run_id,
        next_build_at,
        {{ seconds_between('expected_from_at', 'coalesce(next_build_at, ' ~ as_of() ~ ')') }} / 3600 as gap_hours,
        due_time,
        timezone,
        local_time
    from expectations
    where due_at < coalesce(next_build_at, {{ as_of() }})

)

select * from final
