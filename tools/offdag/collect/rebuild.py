"""The tables rebuilt from the raw artifacts, compared with the existing ones, and written in their place where asked."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
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
from offdag.dbt.redaction import HIDDEN, redacted
from offdag.history.history import History, MergedFile, replaced_names
from offdag.history.raw import kept_artifacts, read_artifact
from offdag.history.retention import pruned_before

# The column that identifies an artifact's rows, for each table that comes from artifacts; the other tables have no other source.
_BY_RUN = dict.fromkeys(("invocations", "node_results", "source_freshness", "catalogs"), "invocation_id")
_BY_CONTENT = {
    **dict.fromkeys(("nodes", "node_dependencies", "exposures"), "node_hash"),
    "manifest_nodes": "manifest_hash",
    "catalog_columns": "catalog_hash",
}
# The column of texts that come from databases.
_TEXT = "message"


@dataclass
class TableComparison:
    """A table of the history against what the raw artifacts give; counts of distinct rows.

    Attributes:
        table: Its name.
        existing: Rows that the history has.
        rebuilt: Rows that the raw artifacts give.
        missing: Rebuilt rows that the history lacks.
        extra: Rows of the history that were not rebuilt.
        is_by_content: Its rows are found by a hash of their content, so that rows of other versions of offdag stay beside the rebuilt.
    """

    table: str
    existing: int = 0
    rebuilt: int = 0
    missing: int = 0
    extra: int = 0
    is_by_content: bool = False

    @property
    def is_equal(self) -> bool:
        return not self.missing and (self.is_by_content or not self.extra)


def rebuild(
    history: History,
    write: bool,
    now: datetime,
    secrets: Sequence[str] = (),
    on_artifact: Callable[[], None] = lambda: None,
) -> list[TableComparison]:
    """Rebuild every table that comes from artifacts, and compare. Dates that were pruned are left out.

    Args:
        history: Holds raw artifacts and tables.
        write: Put the rebuilt rows in place of those that differ. Rows without a raw artifact, and files written meanwhile, stay.
        now: Naive UTC.
        secrets: Values that no text may hold; what a collector on another machine hid stays hidden.
        on_artifact: Called after each artifact.

    Raises:
        HistoryError: A file cannot be read or written.
    """
    with tempfile.TemporaryDirectory(prefix="offdag-rebuild-") as folder:
        scratch = History(folder)
        _fill(history, scratch, secrets, on_artifact)
        return [
            *(_compare_by_run(history, scratch, table, key, now if write else None) for table, key in _BY_RUN.items()),
            *(_compare_by_content(history, scratch, table, key, write) for table, key in _BY_CONTENT.items()),
        ]


def _fill(history: History, scratch: History, secrets: Sequence[str], on_artifact: Callable[[], None]) -> None:
    hashes: dict[str, set[str]] = {"node": set(), "manifest": set(), "catalog": set()}
    for artifact in kept_artifacts(history):
        document = parse_document(artifact.name, read_artifact(history, artifact))
        # It may be another one than dbt's; an older offdag did not record it.
        document = replace(document, invocation_id=artifact.context.get("invocation_id", document.invocation_id))
        for part in _parts(document, RunContext.from_json(artifact.context), hashes, secrets):
            scratch.put_columns(part.table, part.run_date, part.identity, part.columns, part.constants)
        on_artifact()


def _parts(
    document: Document, context: RunContext, hashes: dict[str, set[str]], secrets: Sequence[str]
) -> list[TableRows]:
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
    return results_rows(document, read_results(document, lambda text: redacted(text, secrets)), context)


def _compare_by_run(
    history: History, scratch: History, table: str, key: str, write_at: datetime | None
) -> TableComparison:
    """Compare date by date, since every row belongs to the date of its artifact."""
    found = TableComparison(table)
    first_day = pruned_before(history) or date.min
    for day in sorted({*history.dates(table), *scratch.dates(table)}):
        if day < first_day:
            continue
        names = history.live_files(table, day)
        existing = history.read_files(table, day, names)
        rebuilt = _with_hidden_texts(scratch.read_day(table, day), existing)
        if not _compare(found, existing, rebuilt) and write_at:
            kept = existing.filter(pc.invert(pc.is_in(existing[key], pc.unique(rebuilt[key]))))
            whole = pa.concat_tables([rebuilt, kept])
            # Files that a compaction merged, and keeps for their last readers, must not come back.
            replaced = {*names, *replaced_names(history.merged_files(table, day).values())}
            merged = MergedFile(write_at, frozenset(whole[key].to_pylist()), frozenset(replaced))
            # Only the files that were read are replaced: a collector may have written others since.
            history.replace_files(table, day, names, whole, merged)
    return found


def _compare_by_content(history: History, scratch: History, table: str, key: str, write: bool) -> TableComparison:
    """Compare the whole table: content belongs to the date on which it was first collected."""
    found = TableComparison(table, is_by_content=True)
    existing = history.read(table)
    _compare(found, existing, scratch.read(table))
    if found.missing and write:
        known = pc.unique(existing[key])
        for day in scratch.dates(table):
            rebuilt = scratch.read_day(table, day)
            new = rebuilt.filter(pc.invert(pc.is_in(rebuilt[key], known)))
            if new.num_rows:
                identity = hashlib.sha256("|".join(sorted(set(new[key].to_pylist()))).encode()).hexdigest()[:32]
                history.put_frame(table, day, f"rebuilt-{identity}", new)
    return found


def _with_hidden_texts(rebuilt: pa.Table, existing: pa.Table) -> pa.Table:
    """Rebuilt rows with the messages of collected rows in which something is hidden: their collector may know more secrets."""
    if _TEXT not in rebuilt.column_names:
        return rebuilt
    others = [name for name in rebuilt.column_names if name != _TEXT]
    hidden = {
        tuple(row[name] for name in others): row[_TEXT]
        for row in existing.filter(pc.fill_null(pc.match_substring(existing[_TEXT], HIDDEN), False)).to_pylist()
    }
    if not hidden:
        return rebuilt
    texts = [hidden.get(tuple(row[name] for name in others), row[_TEXT]) for row in rebuilt.to_pylist()]
    at = rebuilt.column_names.index(_TEXT)
    return rebuilt.set_column(at, rebuilt.schema.field(at), [texts])


def _compare(found: TableComparison, existing: pa.Table, rebuilt: pa.Table) -> bool:
    one, other = _rows(existing), _rows(rebuilt)
    missing, extra = len(other - one), len(one - other)
    found.existing += len(one)
    found.rebuilt += len(other)
    found.missing += missing
    found.extra += extra
    return not missing and not extra


def _rows(frame: pa.Table) -> set[tuple[Any, ...]]:
    return set(zip(*(column.to_pylist() for column in frame.columns), strict=True))
