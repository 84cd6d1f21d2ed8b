"""The tables made anew from the raw artifacts, compared with what is there, and put in its place where asked."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from offdag.artifacts.catalog import read_catalog
from offdag.artifacts.document import Document, Kind, parse_document
from offdag.artifacts.manifest import read_manifest
from offdag.artifacts.results import read_results
from offdag.collect.context import RunContext
from offdag.collect.rows import TableRows, catalog_rows, manifest_rows, results_rows
from offdag.history.history import History, Merged, date_folder
from offdag.history.raw import kept_artifacts, read_artifact

# What names an artifact's rows in each table that comes from artifacts; the other tables are themselves the first record.
_BY_RUN = dict.fromkeys(("invocations", "node_results", "source_freshness", "catalogs"), "invocation_id")
_BY_CONTENT = {
    **dict.fromkeys(("nodes", "node_dependencies", "exposures"), "node_hash"),
    "manifest_nodes": "manifest_hash",
    "catalog_columns": "catalog_hash",
}


@dataclass
class TableComparison:
    """A table as it is, against what the raw artifacts give; counts of distinct rows.

    Attributes:
        there: Rows that the history has.
        rebuilt: Rows that the raw artifacts give.
        missing: Rebuilt, and not there.
        extra: There, and not rebuilt.
    """

    table: str
    there: int = 0
    rebuilt: int = 0
    missing: int = 0
    extra: int = 0

    @property
    def is_equal(self) -> bool:
        return not self.missing and not self.extra


def rebuild(
    history: History, write: bool, now: datetime, on_artifact: Callable[[], None] = lambda: None
) -> list[TableComparison]:
    """Make every table that comes from artifacts anew, and compare.

    Args:
        history: Whose raw artifacts and tables.
        write: Put the rebuilt rows in place of those that differ. Rows without a raw artifact stay.
        now: Naive UTC.
        on_artifact: Called after each artifact.

    Raises:
        HistoryError: A file cannot be read or written.
    """
    with tempfile.TemporaryDirectory(prefix="offdag-rebuild-") as folder:
        scratch = History(folder, history.observed)
        _fill(history, scratch, on_artifact)
        return [
            *(_compare_by_run(history, scratch, table, key, write, now) for table, key in _BY_RUN.items()),
            *(_compare_by_content(history, scratch, table, key, write) for table, key in _BY_CONTENT.items()),
        ]


def _fill(history: History, scratch: History, on_artifact: Callable[[], None]) -> None:
    hashes: dict[str, set[str]] = {"node": set(), "manifest": set(), "catalog": set()}
    for artifact in kept_artifacts(history):
        document = parse_document(artifact.name, read_artifact(history, artifact))
        for part in _parts(document, RunContext.from_json(artifact.context), hashes):
            scratch.put_columns(part.table, part.run_date, part.identity, part.columns, part.constants)
        on_artifact()


def _parts(document: Document, context: RunContext, hashes: dict[str, set[str]]) -> list[TableRows]:
    if document.kind is Kind.MANIFEST:
        manifest = read_manifest(document, context.project)
        if manifest.manifest_hash in hashes["manifest"]:
            return []
        hashes["manifest"].add(manifest.manifest_hash)
        before = set(hashes["node"])
        hashes["node"] |= {row["node_hash"] for row in manifest.nodes}
        return manifest_rows(document, manifest, context.project, lambda node_hash: node_hash not in before)
    if document.kind is Kind.CATALOG:
        catalog = read_catalog(document)
        key = f"{context.project}-{catalog.catalog_hash}"
        is_new = key not in hashes["catalog"]
        hashes["catalog"].add(key)
        return catalog_rows(document, catalog, context, is_new)
    return results_rows(document, read_results(document), context)


def _compare_by_run(
    history: History, scratch: History, table: str, key: str, write: bool, now: datetime
) -> TableComparison:
    """Date by date, since every row lies in the date of its own artifact."""
    found = TableComparison(table)
    for day in sorted({*history.dates(table), *scratch.dates(table)}):
        there, rebuilt = history.read_day(table, day), scratch.read_day(table, day)
        if not _compare(found, there, rebuilt) and write:
            _replace_day(history, table, key, day, there, rebuilt, now)
    return found


def _compare_by_content(history: History, scratch: History, table: str, key: str, write: bool) -> TableComparison:
    """As a whole: content lies in the date at which it was first collected."""
    found = TableComparison(table)
    there = history.read(table)
    if not _compare(found, there, scratch.read(table)) and write:
        known = pc.unique(there[key])
        for name in scratch.store.glob(f"tables/{table}/*/*.parquet"):
            frame = scratch.read_file(table, name)
            new = frame.filter(pc.invert(pc.is_in(frame[key], known)))
            if new.num_rows:
                *_, folder, file_name = name.split("/")
                day = date.fromisoformat(folder.removeprefix("run_date="))
                history.put_frame(table, day, f"rebuilt-{file_name.removesuffix('.parquet')}", new)
    return found


def _compare(found: TableComparison, there: pa.Table, rebuilt: pa.Table) -> bool:
    one, other = _rows(there), _rows(rebuilt)
    missing, extra = len(other - one), len(one - other)
    found.there += len(one)
    found.rebuilt += len(other)
    found.missing += missing
    found.extra += extra
    return not missing and not extra


def _rows(frame: pa.Table) -> set[tuple[Any, ...]]:
    return set(zip(*(column.to_pylist() for column in frame.columns), strict=True))


def _replace_day(
    history: History, table: str, key: str, day: date, there: pa.Table, rebuilt: pa.Table, now: datetime
) -> None:
    """One merged file with the rebuilt rows, and those there whose artifact is not kept; then the others go."""
    folder = date_folder(table, day)
    others = [n for n in history.store.names(folder) if n.endswith(".parquet")]
    kept = there.filter(pc.invert(pc.is_in(there[key], pc.unique(rebuilt[key]))))
    whole = pa.concat_tables([rebuilt, kept])
    identities = frozenset(whole[key].to_pylist())
    history.put_merged(table, day, whole, Merged(now, identities, frozenset(others)))
    for name in others:
        history.store.delete(f"{folder}/{name}")
