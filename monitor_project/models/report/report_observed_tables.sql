-- The newest observation of each observed table.
with

observations as (

    select * from {{ ref('fct_observations') }}

),

final as (

    select
        project,
        environment,
        observed_table,
        observed_at,
        is_changed
    from observations
    where is_newest

)

select * from final
