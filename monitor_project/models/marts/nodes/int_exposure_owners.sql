-- Owners of the exposures downstream of each node, for routes by exposure_owner.
{{ config(materialized='view') }}

with

owners as (

    select distinct
        project,
        environment,
        node_id,
        exposure_owner
    from {{ ref('int_exposure_upstream') }}
    where exposure_owner is not null

)

select
    project,
    environment,
    node_id,
    {{ dbt.listagg("'\"' || exposure_owner || '\"'", "' '", "order by exposure_owner") }} as exposure_owners
from owners
group by project, environment, node_id
