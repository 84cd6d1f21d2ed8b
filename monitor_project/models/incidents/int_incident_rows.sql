-- Rows that the failing test of an incident stored in its last bad run, for each route that shows some of their columns.
with

values_of_rows as (

    select
        routes.incident_route_id,
        routes.incident_id,
        routes.channel,
        failing_rows.row_number,
        failing_rows.column_name,
        failing_rows.column_name || '=' || coalesce(failing_rows.value, 'null') as column_text
    from {{ ref('fct_incident_routes') }} as routes
    inner join {{ ref('fct_incidents') }} as incidents
        on routes.incident_id = incidents.incident_id
    inner join {{ ref('stg_history__failing_rows') }} as failing_rows
        on
            incidents.project = failing_rows.project
            and incidents.environment = failing_rows.environment
            and incidents.last_bad_invocation_id = failing_rows.invocation_id
            and incidents.node_id = failing_rows.unique_id
    where
        incidents.incident_status = 'open'
        and position(
            '|' || lower(failing_rows.column_name) || '|'
            in '|' || replace(replace(lower(routes.failing_row_columns), ' |', '|'), '| ', '|') || '|'
        ) > 0

),

rows_of_tests as (

    select
        incident_route_id,
        incident_id,
        channel,
        row_number,
        {{ dbt.listagg('column_text', "', '", 'order by column_name') }} as row_text
    from values_of_rows
    where row_number <= 5
    group by incident_route_id, incident_id, channel, row_number

),

final as (

    select
        incident_route_id,
        incident_id,
        channel,
        {{ dbt.listagg('row_text', "'; '", 'order by row_number') }} as failing_rows
    from rows_of_tests
    group by incident_route_id, incident_id, channel

)

select * from final
