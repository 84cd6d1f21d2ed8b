"""Archives of any layout, many processes, packed files."""

from __future__ import annotations

import gzip
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import zstandard

from offdag.collect.collection import Collection, collect
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from offdag.errors import HistoryError
from offdag.history.history import History
from sim import artifacts


def run(number: int) -> dict[str, Any]:
    at = artifacts.NOW + timedelta(hours=number)
    return artifacts.run_results([artifacts.result("model.p.m", at=at)], at, invocation_id=f"invocation-{number:05}")


def take(history: Path, folder: Path, processes: int | None = None) -> Collection:
    files = find_artifacts([str(folder)], recursive=True)
    return collect(History(str(history)), files, Context("p", "prod"), processes=processes)


def test_archives_may_name_and_pack_their_files_freely(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    for folder in ("run_results/2026", "2026/01", ".hidden", "other"):
        (archive / folder).mkdir(parents=True)
    written = [json.dumps(run(i)).encode() for i in range(5)]
    (archive / "run_results/2026/a.json").write_bytes(written[0])
    (archive / "2026/01/31-run-results.json.gz").write_bytes(gzip.compress(written[1]))
    (archive / "2026/01/run_results_x.json.zst").write_bytes(zstandard.ZstdCompressor().compress(written[2]))
    (archive / ".hidden/run_results.json").write_bytes(written[3])
    (archive / "other/notes.json").write_bytes(written[4])
    assert take(tmp_path / "history", archive).counts == {"accepted": 3}


def test_a_packed_file_that_is_broken_gets_a_verdict(tmp_path: Path) -> None:
    (tmp_path / "archive").mkdir()
    (tmp_path / "archive/run_results.json.gz").write_bytes(b"no gzip")
    (tmp_path / "archive/run_results.json.zst").write_bytes(b"no zstd")
    found = take(tmp_path / "history", tmp_path / "archive")
    assert found.counts == {"unreadable": 2}
    assert len(found.refused) == 2


def test_many_files_are_collected_by_many_processes_to_the_same_end(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    for i in range(420):
        artifacts.write(
            archive / str(i), run_results=run(i), manifest=artifacts.manifest([artifacts.node("model.p.m")])
        )
    counts = {"accepted": 421, "duplicate": 419}
    assert take(tmp_path / "one", archive, processes=1).counts == counts
    many = take(tmp_path / "many", archive, processes=2)
    assert many.counts.total() == 840
    assert len(many.run_dates) == 18
    for table in ("invocations", "node_results", "nodes", "manifest_nodes"):
        rows = [
            {tuple(row.values()) for row in History(str(tmp_path / name)).read(table).to_pylist()}
            for name in ("one", "many")
        ]
        # Both processes may meet the manifest first; which of its copies they name differs.
        if table == "invocations":
            rows = [{(row[2], row[19]) for row in some} for some in rows]
        assert rows[0] == rows[1], table
    assert take(tmp_path / "many", archive, processes=2).counts == {"duplicate": 840}


def test_a_history_that_fails_under_many_files_is_one_error(tmp_path: Path) -> None:
    history = History(str(tmp_path / "history"))
    for i in range(401):
        folder = tmp_path / "tree" / str(i)
        folder.mkdir(parents=True)
        (folder / "run_results.json").write_text(
            json.dumps(artifacts.run_results([artifacts.result("model.p.m")], invocation_id=f"run-{i:05}"))
        )
    # A file where a folder has to be.
    (tmp_path / "history" / "tables" / "node_results" / f"run_date={artifacts.NOW.date()}").write_text("in the way")
    with pytest.raises(HistoryError, match="cannot write the history"):
        collect(history, find_artifacts([str(tmp_path / "tree")], True), Context("p", "prod"), processes=2)
