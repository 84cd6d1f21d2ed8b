-- Flaky tests that may be left out of builds for a while. A test whose newest runs all failed is broken: it is right, or has to be repaired.
with

flaky_tests as (

    select
        project,
        environment,
        node_id,
        node_name,
        owner,
        translate(recent_runs, '0123456789. ', '') as strip
    from {{ ref('report_nodes') }}
    where
        is_flaky
        and resource_type in ('test', 'unit_test')

),

final as (

    select
        project,
        environment,
        node_id,
        node_name,
        owner,
        strip
    from flaky_tests
    where
        strip is null
        or substring(strip, length(strip) - {{ var('broken_runs') }} + 1, {{ var('broken_runs') }}) != repeat('F', {{ var('broken_runs') }})

)

select * from final
