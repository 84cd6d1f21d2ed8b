"""The history's tables as Arrow schemas, written once. Columns are only ever added.

All times are UTC without a zone. Texts named JSON hold a JSON document. Every column may be null except those of the table's key.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

# Goes up with every column that is added.
VERSION = 8

_TYPES = {
    "string": pa.string(),
    "int64": pa.int64(),
    "float64": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us"),
    "date": pa.date32(),
}

_RUN = {"project": "string", "environment": "string", "invocation_id": "string", "generated_at": "timestamp"}
_ORIGIN = {"git_sha": "string", "git_branch": "string", "actor": "string", "ci_url": "string"}

_TABLES: Mapping[str, Mapping[str, str]] = {
    # One row per command given to `offdag run`.
    "job_runs": {
        "job_run_id": "string",
        "job_id": "string",
        "project": "string",
        "environment": "string",
        "command": "string",
        "is_build": "boolean",
        "started_at": "timestamp",
        "ended_at": "timestamp",
        "exit_code": "int64",
        "signal": "string",
        "has_results": "boolean",
        "invocation_id": "string",
        **_ORIGIN,
        "log_tail": "string",
        "error_line": "string",
        "pull_request": "string",
        "repository_url": "string",
    },
    # One row per command given to `offdag run`, written before it starts: without a row in job_runs it runs on, or was killed.
    "job_starts": {
        "job_run_id": "string",
        "job_id": "string",
        "project": "string",
        "environment": "string",
        "command": "string",
        "is_build": "boolean",
        "started_at": "timestamp",
        "target_path": "string",
        **_ORIGIN,
        "pull_request": "string",
        "repository_url": "string",
    },
    # One row per dbt invocation that left run_results or sources.
    "invocations": {
        **_RUN,
        "job_id": "string",
        "command": "string",
        "is_build": "boolean",
        "is_retry": "boolean",
        "is_partial": "boolean",
        "is_full_refresh": "boolean",
        "target": "string",
        "selection": "string",
        "dbt_version": "string",
        "adapter_type": "string",
        "started_at": "timestamp",
        "elapsed_seconds": "float64",
        "result_count": "int64",
        "tolerated_count": "int64",
        "manifest_hash": "string",
        "manifest_invocation_id": "string",
        "artifact_sha256": "string",
        **_ORIGIN,
        "pull_request": "string",
        "repository_url": "string",
        "manifest_generated_at": "timestamp",
        "variables_hash": "string",
        "project_variables": "string",
    },
    # One row per result of a run_results file.
    "node_results": {
        **_RUN,
        "is_build": "boolean",
        "unique_id": "string",
        "resource_type": "string",
        "status": "string",
        "message": "string",
        "failures": "int64",
        "execution_seconds": "float64",
        "started_at": "timestamp",
        "execute_started_at": "timestamp",
        "completed_at": "timestamp",
        "thread_id": "string",
        "rows_affected": "int64",
        "bytes_processed": "int64",
        "query_id": "string",
        "adapter_response": "string",
        "relation_name": "string",
        "slot_milliseconds": "int64",
    },
    # One row per stored row of a failing test and column that a route may show.
    "failing_rows": {
        **_RUN,
        "unique_id": "string",
        "row_number": "int64",
        "column_name": "string",
        "value": "string",
    },
    # One row per result of a sources or freshness file.
    "source_freshness": {
        **_RUN,
        "unique_id": "string",
        "status": "string",
        "message": "string",
        "max_loaded_at": "timestamp",
        "checked_at": "timestamp",
        "age_seconds": "float64",
        "warn_after_seconds": "int64",
        "error_after_seconds": "int64",
        "filter": "string",
        "execution_seconds": "float64",
    },
    # One row per content that a node ever had.
    "nodes": {
        "node_hash": "string",
        "project": "string",
        "unique_id": "string",
        "name": "string",
        "resource_type": "string",
        "package_name": "string",
        "path": "string",
        "database_name": "string",
        "schema_name": "string",
        "alias": "string",
        "relation_name": "string",
        "materialization": "string",
        "code_hash": "string",
        "description": "string",
        "owner": "string",
        "group_name": "string",
        "tags": "string",
        "columns": "string",
        "meta_alerts": "string",
        "test_name": "string",
        "column_name": "string",
        "attached_node_id": "string",
        "stable_key": "string",
        "has_freshness": "boolean",
        "warn_after_seconds": "int64",
        "error_after_seconds": "int64",
        "has_contract": "boolean",
        "config_hash": "string",
        "macros_hash": "string",
        "code_tokens": "string",
        "definitions": "string",
        "macros_tokens": "string",
        "latest_version": "string",
    },
    # One row per node of each distinct manifest.
    "manifest_nodes": {"manifest_hash": "string", "project": "string", "unique_id": "string", "node_hash": "string"},
    # One row per parent of each content of a node.
    "node_dependencies": {
        "node_hash": "string",
        "project": "string",
        "unique_id": "string",
        "parent_unique_id": "string",
    },
    # One row per content that an exposure ever had.
    "exposures": {
        "node_hash": "string",
        "project": "string",
        "unique_id": "string",
        "name": "string",
        "exposure_type": "string",
        "owner_name": "string",
        "owner_email": "string",
        "maturity": "string",
        "url": "string",
    },
    # One row per catalog that was found.
    "catalogs": {**_RUN, "catalog_hash": "string"},
    # One row per column of each distinct catalog.
    "catalog_columns": {
        "catalog_hash": "string",
        "project": "string",
        "unique_id": "string",
        "relation_type": "string",
        "column_name": "string",
        "data_type": "string",
        "position": "int64",
    },
    # One row per artifact or observed table and collection.
    "artifact_verdicts": {
        "collected_at": "timestamp",
        "project": "string",
        "environment": "string",
        "job_id": "string",
        "path": "string",
        "kind": "string",
        "verdict": "string",
        "reason": "string",
        "size_bytes": "int64",
        "sha256": "string",
        "schema_version": "int64",
        "dbt_version": "string",
        "invocation_id": "string",
        "tolerated_count": "int64",
    },
    # One row per monitor run that ended.
    "monitor_runs": {
        "monitor_run_id": "string",
        "as_of": "timestamp",
        "started_at": "timestamp",
        "ended_at": "timestamp",
        "exit_code": "int64",
        "offdag_version": "string",
        "seeds": "string",
    },
    # One row per notification and attempt whose outcome is known.
    "deliveries": {
        "envelope_id": "string",
        "notification_id": "string",
        "signal_key": "string",
        "event": "string",
        "severity": "string",
        "incident_started_at": "timestamp",
        "incident_last_bad_at": "timestamp",
        "sink": "string",
        "channel": "string",
        "outcome": "string",
        "reason": "string",
        "delivered_at": "timestamp",
        "message_channel": "string",
        "message_ts": "string",
        "is_final": "boolean",
    },
    # One row per `offdag ack`.
    "acknowledgements": {
        "acknowledgement_id": "string",
        "project": "string",
        "environment": "string",
        "signal_key": "string",
        "incident_started_at": "timestamp",
        "incident_last_bad_at": "timestamp",
        "acknowledged_at": "timestamp",
        "acknowledged_by": "string",
        "note": "string",
        "acknowledged_until": "date",
        "resolution": "string",
    },
}


def arrow_schema(columns: Mapping[str, str]) -> pa.Schema:
    """Columns by name and type word to an Arrow schema.

    Raises:
        KeyError: A type word that the history does not know.
    """
    return pa.schema([(name, _TYPES[word]) for name, word in columns.items()])


TABLES: Mapping[str, pa.Schema] = {table: arrow_schema(columns) for table, columns in _TABLES.items()}
TYPE_WORDS = tuple(_TYPES)
