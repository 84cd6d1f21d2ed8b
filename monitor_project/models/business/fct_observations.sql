-- One row per observation of a table of observed_tables.csv, also where its content is the same as before: what the table held at each time.
-- A business check joins the table's rows by content_hash.
with

verdicts as (

    select * from {{ ref('stg_history__artifact_verdicts') }}
    where
        kind like 'observed%'
        and verdict in ('accepted', 'duplicate')
        and collected_at <= {{ as_of() }}

),

sequenced as (

    select
        project,
        environment,
        kind as observed_table,
        collected_at as observed_at,
        sha256 as content_hash,
        lag(sha256) over (
            partition by project, environment, kind
            order by collected_at, sha256
        ) as prior_content_hash,
        lead(collected_at) over (
            partition by project, environment, kind
            order by collected_at, sha256
        ) as next_observed_at
    from verdicts

),

final as (

    select
        {{ surrogate_key(['project', 'environment', 'observed_table', 'observed_at', 'content_hash']) }} as observation_id,
        project,
        environment,
        observed_table,
        observed_at,
        content_hash,
        prior_content_hash is null or content_hash != prior_content_hash as is_changed,
        next_observed_at is null as is_newest,
        next_observed_at
    from sequenced

)

select * from final
