"""The tables can be rebuilt from the raw artifacts, with the same rows."""

from __future__ import annotations

import os
import time
from datetime import date, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from offdag.clock import utc_now
from offdag.collect.collection import collect_files
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from offdag.collect.rebuild import rebuild
from offdag.history.compaction import compact
from offdag.history.history import History, MergedFile
from offdag.history.retention import prune
from offdag.origin import Origin
from sim import artifacts
from support import recorded

NOW = artifacts.NOW + timedelta(days=400)


@pytest.fixture
def history(tmp_path: Path) -> History:
    """Recorded runs of every version, one of them interrupted, and one whose manifest was seen before."""
    history = History(str(tmp_path / "history"))
    for version in recorded.VERSIONS:
        for case in ("build_fails", "retry_recovers", "freshness", "docs_generate", "nothing_selected"):
            files = find_artifacts([str(recorded.folder(version, case))], recursive=False)
            context = Context(
                project=f"shop {version}",
                environment="prod",
                origin=Origin(git_sha="abc", pull_request="7"),
                was_interrupted=case == "retry_recovers",
            )
            collect_files(history, files, context)
    at = artifacts.NOW
    for i in range(2):
        target = artifacts.write(
            tmp_path / f"target-{i}",
            run_results=artifacts.run_results(
                [artifacts.result("model.p.m", at=at)], at, invocation_id=f"build-{i:04}"
            ),
            manifest=artifacts.manifest([artifacts.node("model.p.m")], at, invocation_id=f"build-{i:04}"),
            catalog=artifacts.catalog({"model.p.m": {"id": "BIGINT"}}, at, invocation_id=f"build-{i:04}"),
        )
        collect_files(history, find_artifacts([str(target)], recursive=False), Context(environment="prod"))
    return history


def differing(history: History, write: bool = False) -> list[str]:
    return [table.table for table in rebuild(history, write, NOW) if not table.is_equal]


def test_the_rebuilt_tables_equal_the_existing_ones(history: History) -> None:
    tables = {table.table: table for table in rebuild(history, write=False, now=NOW)}
    assert all(table.is_equal for table in tables.values()), tables
    assert tables["invocations"].existing == tables["invocations"].rebuilt == 27
    assert tables["nodes"].rebuilt > 50


def test_after_a_compaction_too(history: History) -> None:
    for hours in (0, 1):
        compact(history, NOW + timedelta(hours=hours))
    assert differing(history) == []


@pytest.mark.parametrize("table", ["node_results", "invocations", "nodes", "manifest_nodes", "catalog_columns"])
@pytest.mark.parametrize("is_compacted", [False, True])
def test_lost_files_are_found_and_restored(history: History, table: str, is_compacted: bool) -> None:
    if is_compacted:
        for hours in (0, 1):
            compact(history, NOW + timedelta(hours=hours))
    whole = {str(row) for row in history.read(table).to_pylist()}
    files = history.store.glob(f"tables/{table}/run_date=2*/*.parquet")
    lost = max(files, key=lambda name: len(history.store.read(name)))
    history.store.delete(lost)
    assert differing(history) == [table]
    assert differing(history, write=True) == [table]
    assert differing(history) == []
    assert {str(row) for row in history.read(table).to_pylist()} == whole


def test_rows_without_a_raw_artifact_stay(history: History) -> None:
    day = artifacts.NOW.date()
    history.put("invocations", day, "of-elsewhere", [{"project": "p", "invocation_id": "of-elsewhere"}])
    history.store.delete("tables/invocations/run_date=2026-01-31/build-0001.parquet")
    [table] = [t for t in rebuild(history, write=True, now=NOW) if not t.is_equal]
    assert (table.missing, table.extra) == (1, 1)
    ids = history.read("invocations", ["invocation_id"])["invocation_id"].to_pylist()
    assert {"of-elsewhere", "build-0000", "build-0001"} <= set(ids)


def test_what_a_collector_writes_meanwhile_stays(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the reading of a date and the removal of its files, a collector writes one more."""
    day = artifacts.NOW.date()
    history.store.delete("tables/invocations/run_date=2026-01-31/build-0001.parquet")
    original = History.put_merged

    def put_and_collect(self: History, table: str, run_date: date, frame: pa.Table, merged: MergedFile) -> None:
        self.put("invocations", day, "late-0001", [{"project": "p", "invocation_id": "late-0001"}])
        original(self, table, run_date, frame, merged)

    with monkeypatch.context() as patch:
        patch.setattr(History, "put_merged", put_and_collect)
        rebuild(history, write=True, now=NOW)
    ids = history.read("invocations", ["invocation_id"])["invocation_id"].to_pylist()
    assert {"late-0001", "build-0000", "build-0001"} <= set(ids)


def test_what_was_hidden_at_collection_stays_hidden(history: History, tmp_path: Path) -> None:
    """Also where the rebuilding machine does not know the secret."""
    at = artifacts.NOW
    message = "password=hunter2 was refused, and so was plainwords"
    target = artifacts.write(
        tmp_path / "target-secret",
        run_results=artifacts.run_results([artifacts.result("model.p.m", "error", at=at, message=message)], at),
    )
    files = find_artifacts([str(target)], recursive=False)
    collect_files(history, files, Context(environment="prod", secrets=("plainwords",)))
    assert differing(history) == []
    history.store.delete("tables/invocations/run_date=2026-01-31/build-0001.parquet")
    rebuild(history, write=True, now=NOW)
    texts = [text for text in history.read("node_results")["message"].to_pylist() if text and "refused" in text]
    assert texts == ["password=*** was refused, and so was ***"]


def test_what_a_compaction_merged_does_not_come_back(history: History) -> None:
    day = artifacts.NOW.date()
    compact(history, NOW)
    history.put("invocations", day, "of-elsewhere", [{"project": "p", "invocation_id": "of-elsewhere"}])
    compact(history, NOW + timedelta(minutes=10))
    names = history.store.names("tables/invocations/run_date=2026-01-31")
    assert len([name for name in names if name.startswith("merged")]) == 2
    rows = history.read("invocations").num_rows
    history.put("invocations", day, "of-elsewhere-2", [{"project": "p", "invocation_id": "of-elsewhere-2"}])
    rebuild(history, write=True, now=NOW + timedelta(minutes=20))
    assert history.read("invocations").num_rows == rows + 1


def test_a_pruned_history_is_equal_to_what_is_rebuilt(history: History) -> None:
    before = history.read("invocations").num_rows
    prune(history, artifacts.NOW.date() + timedelta(days=1))
    assert history.read("invocations").num_rows < before
    assert differing(history) == []
    # Nothing that was pruned comes back.
    rows = history.read("invocations").num_rows
    rebuild(history, write=True, now=NOW)
    assert history.read("invocations").num_rows == rows


def test_each_row_is_read_once_after_a_compaction(history: History) -> None:
    rows = {table: history.read(table).num_rows for table in history.tables()}
    compact(history, NOW)
    assert {table: history.read(table).num_rows for table in history.tables()} == rows
    compact(history, NOW + timedelta(hours=1))
    assert {table: history.read(table).num_rows for table in history.tables()} == rows


def test_temporary_files_of_killed_writers_go_after_a_day(history: History) -> None:
    folder = Path(history.root) / "tables" / "invocations" / "run_date=2026-01-31"
    old, young = folder / ".a.parquet.1.tmp", folder / ".b.parquet.2.tmp"
    for path, hours in ((old, 30), (young, 1)):
        path.write_bytes(b"half")
        at = time.time() - hours * 3600
        os.utime(path, (at, at))
    compact(history, utc_now())
    assert (old.exists(), young.exists()) == (False, True)
