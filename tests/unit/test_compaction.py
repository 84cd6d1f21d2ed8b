"""Closed days become one file a table, at any kill, while others read and write."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from offdag.collect.collection import collect, collect_files
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from offdag.duckdb_files import LockWait
from offdag.history.compaction import GRACE, compact, compact_when_due
from offdag.history.history import History
from offdag.history.retention import prune
from offdag.history.store import Store
from offdag.monitor.build import _DbtBuild, is_vanished_file_message
from sim import artifacts

NOW = artifacts.NOW + timedelta(days=2)


class SimulatedKill(BaseException):
    """The process ends here."""


def fill(history: History, folder: Path, runs: int = 6) -> None:
    for i in range(runs):
        at = artifacts.NOW + timedelta(minutes=i)
        artifacts.write(
            folder / str(i),
            run_results=artifacts.run_results(
                [artifacts.result("model.p.a", at=at)], at, invocation_id=f"invocation-{i:03}"
            ),
            manifest=artifacts.manifest([artifacts.node("model.p.a", description=f"version {i}")], at),
        )
    collect(history, find_artifacts([str(folder)], recursive=True), Context("p", "prod"))


def rows(history: History) -> dict[str, list[Any]]:
    """The distinct rows of each table, but for the verdicts of today."""
    tables = set(history.tables()) - {"artifact_verdicts"}
    return {t: sorted({str(row) for row in history.read(t).to_pylist()}) for t in sorted(tables)}


def parquet_files(history: History, table: str) -> list[str]:
    return history.store.glob(f"tables/{table}/run_date=2026*/*.parquet")


def test_a_closed_day_becomes_one_file_after_an_hour(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    fill(history, tmp_path / "runs")
    before = rows(history)
    assert len(parquet_files(history, "node_results")) == 6
    compact(history, NOW)
    assert len(parquet_files(history, "node_results")) == 7, "the old files stay for those who are reading them"
    compact(history, NOW + GRACE / 2)
    assert len(parquet_files(history, "node_results")) == 7
    compact(history, NOW + GRACE)
    for table in ("node_results", "invocations", "nodes", "manifest_nodes"):
        assert len(parquet_files(history, table)) == 1, table
    assert rows(history) == before


def test_today_is_left_alone(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    fill(history, tmp_path / "runs")
    assert compact(history, artifacts.NOW + timedelta(hours=1)).written == 0


def test_late_artifacts_join_the_merged_file_and_old_ones_are_known(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    fill(history, tmp_path / "runs", runs=4)
    for hours in (0, 1):
        compact(history, NOW + timedelta(hours=hours))
    fill(history, tmp_path / "late", runs=6)
    files = find_artifacts([str(tmp_path / "runs")], recursive=True)
    assert {j.verdict["verdict"] for j in collect_files(history, files, Context("p", "prod"))} == {"duplicate"}
    for hours in (2, 3, 4):
        compact(history, NOW + timedelta(hours=hours))
    assert len(parquet_files(history, "invocations")) == 1
    found = history.read("invocations", ["invocation_id"])["invocation_id"].to_pylist()
    assert sorted(found) == [f"invocation-{i:03}" for i in range(6)], "each once"


def test_two_compactors_at_once_double_nothing_in_the_end(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    fill(history, tmp_path / "runs", runs=3)
    before = rows(history)
    # One saw fewer files than the other: their merged files overlap.
    compact(history, NOW)
    extra = History(str(tmp_path / "history"))
    [merged] = extra.merged_files("invocations", artifacts.NOW.date())
    name = f"tables/invocations/run_date=2026-01-31/{merged}"
    kept = extra.store.read(name)
    extra.store.delete(name)
    fill(extra, tmp_path / "more", runs=5)
    compact(extra, NOW)
    extra.store.write(name, kept)
    before = rows(history)
    for hours in (1, 2, 3):
        compact(history, NOW + timedelta(hours=hours))
    assert rows(history) == before
    assert history.read("invocations").num_rows == 5


def test_collecting_compacts_at_most_once_an_hour(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    fill(history, tmp_path / "runs")
    assert compact_when_due(history, NOW).written > 0
    fill(history, tmp_path / "more", runs=8)
    assert compact_when_due(history, NOW + timedelta(minutes=59)).written == 0
    assert compact_when_due(history, NOW + timedelta(minutes=60)).written > 0


def test_old_days_of_a_second_backfill_wait_for_the_next_compaction(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    long_after = NOW + timedelta(days=60)
    compact_when_due(history, long_after)
    fill(history, tmp_path / "runs")
    day = artifacts.NOW.date()
    assert compact_when_due(history, long_after + timedelta(minutes=1), [day]).written == 0
    assert compact_when_due(history, long_after + timedelta(hours=1)).written > 0
    # And once more, for the files that the merged ones replace.
    assert compact_when_due(history, long_after + timedelta(hours=2)).removed > 0
    assert len(parquet_files(history, "node_results")) == 1


def interrupted(method: str, at: int) -> Callable[..., Any]:
    original = getattr(Store, method)
    count = 0

    def call(self: Store, *arguments: Any) -> Any:
        nonlocal count
        count += 1
        if count == at:
            raise SimulatedKill
        return original(self, *arguments)

    return call


@pytest.mark.parametrize("method", ["write", "delete"])
def test_killed_anywhere_and_repeated_gives_the_same_rows(tmp_path: Path, method: str) -> None:
    for at in range(1, 40):
        history = History(str(tmp_path / f"{method}-{at}"))
        fill(history, tmp_path / f"runs-{method}-{at}", runs=3)
        before = rows(history)
        if method == "delete":
            compact(history, NOW)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, method, interrupted(method, at))
            try:
                compact(history, NOW + GRACE)
            except SimulatedKill:
                assert rows(history) == before, "a reader may see a row twice, never not at all"
            else:
                assert at > 5
                return
        for hours in (1, 2, 3):
            compact(history, NOW + timedelta(hours=hours))
        assert rows(history) == before
        assert len(parquet_files(history, "node_results")) == 1
    raise AssertionError("never ended")


def test_an_active_reader_never_misses_a_row(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    fill(history, tmp_path / "runs", runs=30)
    glob = f"{history.root}/tables/invocations/*/*.parquet"
    stop = threading.Event()
    counts: set[int] = set()
    odd: list[str] = []

    def read() -> None:
        while not stop.is_set():
            try:
                query = "select count(distinct invocation_id) from read_parquet(?, hive_partitioning = true)"
                counts.add(duckdb.connect().execute(query, [glob]).fetchall()[0][0])
            except duckdb.Error as error:
                if not is_vanished_file_message(str(error)):
                    odd.append(str(error))

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    try:
        for hours in range(6):
            fill(history, tmp_path / f"late-{hours}", runs=31 + hours)
            compact(history, NOW + timedelta(hours=hours))
    finally:
        stop.set()
        for reader in readers:
            reader.join()
    assert odd == []
    assert counts
    assert min(counts) >= 30


def test_a_vanished_file_is_distinguished_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(duckdb.Error) as gone:
        duckdb.connect().execute("select * from read_parquet(?)", [str(tmp_path / "gone.parquet")])
    (tmp_path / "damaged.parquet").write_bytes(b"PAR1")
    with pytest.raises(duckdb.Error) as damaged:
        duckdb.connect().execute("select * from read_parquet(?)", [str(tmp_path / "damaged.parquet")])
    assert is_vanished_file_message(str(gone.value))
    assert not is_vanished_file_message(str(damaged.value))


def test_the_monitor_repeats_once_where_a_file_vanished(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The child fails with DuckDB's own error, at its first call alone, or at each."""
    caplog.set_level("INFO", "offdag")
    script = (
        "import duckdb, pathlib, sys; calls = pathlib.Path(sys.argv[1]); done = calls.exists(); calls.open('a').write('x');"
        "sys.exit(0) if done and sys.argv[2] == 'once' else None;"
        f"duckdb.connect().execute('select * from read_parquet(?)', [r'{tmp_path / 'gone.parquet'}'])"
    )
    for how, code, calls in (("once", 0, 2), ("always", 1, 2)):
        caplog.clear()
        command = [sys.executable, "-c", script, str(tmp_path / how), how]
        build = _DbtBuild(command, dict(os.environ), tmp_path, tmp_path / "monitor.duckdb")
        ended, _ = build.run_when_free(LockWait("monitor", 5.0))
        assert (ended, len((tmp_path / how).read_text())) == (code, calls)
        [line] = caplog.messages
        assert line == "monitor repeats: a file of the history was merged into another one while it was read"


def pruned(history: History, at: int) -> bool:
    """Whether a pruning that is killed at its n-th removal completed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "delete", interrupted("delete", at))
        try:
            prune(history, (artifacts.NOW + timedelta(days=1)).date())
        except SimulatedKill:
            return False
    return True


def test_pruning_drops_whole_dates_and_keeps_what_newer_runs_refer_to(tmp_path: Path) -> None:
    def filled(name: str) -> History:
        history = History(str(tmp_path / name))
        fill(history, tmp_path / f"runs-{name}", runs=2)
        at = artifacts.NOW + timedelta(days=1)
        newer = artifacts.run_results([artifacts.result("model.p.a", at=at)], at, invocation_id="newer-001")
        collect(
            history,
            find_artifacts([str(artifacts.write(tmp_path / f"newer-{name}", run_results=newer))], False),
            Context("p", "prod"),
        )
        return history

    whole = filled("whole")
    removed = prune(whole, (artifacts.NOW + timedelta(days=1)).date())
    assert removed["invocations"] == 2
    assert removed["node_results"] == 2
    assert [row["invocation_id"] for row in whole.read("invocations").to_pylist()] == ["newer-001"]
    assert whole.read("nodes").num_rows == 2
    kept = {path.name for path in Path(whole.root).glob("artifacts/**/*.zst")}
    assert kept == {"manifest.json.zst", "run_results.json.zst"}
    assert prune(whole, (artifacts.NOW + timedelta(days=1)).date()).total() == 0
    for at in range(1, 20):
        history = filled(f"killed-{at}")
        if pruned(history, at):
            assert at > 5
            break
        assert pruned(history, 10_000)
        assert rows(history) == rows(whole)


def test_merged_files_record_when_they_were_written(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    fill(history, tmp_path / "runs", runs=2)
    compact(history, NOW)
    [merged] = history.merged_files("invocations", artifacts.NOW.date()).values()
    assert merged.merged_at == NOW
    assert merged.identities == {"invocation-000", "invocation-001"}
    assert isinstance(merged.merged_at, datetime)
