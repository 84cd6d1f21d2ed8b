with

source as (

    select *
    from {{ without_copies(
        source('history', 'nodes'),
        ['node_hash'],
        within_run_date=false
    ) }} as copies

),

final as (

    select
        node_hash,
        project,
        unique_id,
        name,
        resource_type,
        package_name,
        path,
        database_name,
        schema_name,
        alias,
        relation_name,
        materialization,
        code_hash,
        description,
        owner,
        group_name,
        tags,
        columns,
        meta_alerts,
        test_name,
        column_name,
        attached_node_id,
        stable_key,
        has_freshness,
        {{ bounded('warn_after_seconds', 'threshold') }} as warn_after_seconds,
        {{ bounded('error_after_seconds', 'threshold') }} as error_after_seconds,
        has_contract,
        config_hash,
        macros_hash,
        code_tokens,
        definitions,
        macros_tokens,
        latest_version,
        run_date
    from source

)

select * from final
