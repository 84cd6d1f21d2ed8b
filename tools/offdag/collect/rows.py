"""An artifact as rows of tables: the same rows for a new artifact and for one that is read again from the history."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import date

from offdag.artifacts.catalog import Catalog
from offdag.artifacts.document import Document, Kind
from offdag.artifacts.manifest import Manifest
from offdag.artifacts.results import Results
from offdag.artifacts.values import Columns, Row
from offdag.collect.context import RunContext


@dataclass(frozen=True)
class TableRows:
    """Rows for one file of a table, column by column.

    Attributes:
        table: A table of the history.
        run_date: UTC date that they belong to.
        identity: Names the file.
        columns: Values by column.
        constants: Values that all rows share.
    """

    table: str
    run_date: date
    identity: str
    columns: Columns
    constants: Row = field(default_factory=dict)


def results_rows(document: Document, results: Results, context: RunContext) -> list[TableRows]:
    """The rows of a run_results, sources or freshness file, in the order of writing: the invocation marks them as complete."""
    run = {
        "project": context.project,
        "environment": context.environment,
        "invocation_id": document.invocation_id,
        "generated_at": document.generated_at,
    }
    invocation = {
        **run,
        **results.invocation,
        "job_id": context.job_id,
        "is_partial": context.is_partial,
        "dbt_version": document.dbt_version,
        "adapter_type": context.adapter_type,
        "started_at": document.started_at,
        "tolerated_count": results.tolerated,
        "manifest_hash": context.manifest_hash,
        "manifest_invocation_id": context.manifest_invocation_id,
        "manifest_generated_at": context.manifest_generated_at,
        "artifact_sha256": document.sha256,
        "project_variables": context.project_variables,
        **asdict(context.origin),
    }
    is_build = {"is_build": results.is_build} if document.kind is Kind.RUN_RESULTS else {}
    day, identity = document.generated_at.date(), document.invocation_id
    return [
        TableRows(results.table, day, identity, results.columns, {**run, **is_build}),
        TableRows("invocations", day, identity, _columns([invocation])),
    ]


def manifest_rows(
    document: Document, manifest: Manifest, project: str, is_new: Callable[[str], bool]
) -> list[TableRows]:
    """The rows of a manifest, in the order of writing.

    Args:
        document: The manifest's file.
        manifest: What it holds.
        project: Recorded in each row.
        is_new: Whether a node's content, by its hash, is not in the history yet.
    """
    day, identity = document.generated_at.date(), manifest.manifest_hash
    manifest_nodes = [{"unique_id": row["unique_id"], "node_hash": row["node_hash"]} for row in manifest.nodes]
    return [
        # Nodes come after their edges and exposures, so that a node that is not new has them in the history.
        *(
            TableRows(table, day, identity, _columns([r for r in rows if is_new(r["node_hash"])]), {"project": project})
            for table, rows in (
                ("node_dependencies", manifest.dependencies),
                ("exposures", manifest.exposures),
                ("nodes", manifest.nodes),
            )
        ),
        # Last: it marks the manifest as complete.
        TableRows(
            "manifest_nodes", day, identity, _columns(manifest_nodes), {"project": project, "manifest_hash": identity}
        ),
    ]


def catalog_rows(document: Document, catalog: Catalog, context: RunContext, is_new: bool) -> list[TableRows]:
    """The rows of a catalog, in the order of writing; its columns only where the history does not have them yet."""
    day = document.generated_at.date()
    named = {"project": context.project, "catalog_hash": catalog.catalog_hash}
    run = {
        **named,
        "environment": context.environment,
        "invocation_id": document.invocation_id,
        "generated_at": document.generated_at,
    }
    columns = (
        [TableRows("catalog_columns", day, catalog.catalog_hash, _columns(catalog.columns), named)] if is_new else []
    )
    return [*columns, TableRows("catalogs", day, document.invocation_id, _columns([run]))]


def _columns(rows: list[Row]) -> Columns:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}
