"""Files that are damaged, odd or hostile: each gets its verdict, and the files beside it are collected."""

from __future__ import annotations

import gzip
import json
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import zstandard

from offdag.artifacts.document import UnreadableArtifact, Verdict
from offdag.collect import places
from offdag.collect.collection import collect_files
from offdag.collect.context import Context
from offdag.collect.places import ArtifactFile, artifacts_in, find_artifacts
from offdag.errors import DatabaseLocked, HistoryError, NoBuild, UsageError
from offdag.history.history import History
from offdag.history.store import Store
from sim import artifacts


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history"))


def results(invocation_id: str = "run-00001", **more: Any) -> bytes:
    document = artifacts.run_results([artifacts.result("model.p.m", **more)], invocation_id=invocation_id)
    return json.dumps(document).encode()


def verdicts(history: History, folder: Path) -> dict[str, str]:
    """Verdicts by file name, of an odd file and of the sound one that is put beside it."""
    (folder / "sources.json").write_text(json.dumps(artifacts.sources([artifacts.freshness("source.p.s.t")])))
    found = collect_files(history, find_artifacts([str(folder)], recursive=False), Context("p", "prod"))
    names = {f.verdict["path"].rsplit("/", 1)[-1]: f.verdict["verdict"] for f in found}
    assert names.pop("sources.json") == "accepted"
    assert history.read("source_freshness").num_rows == 1
    return names


@pytest.mark.parametrize("cut", [1, 10, 200])
@pytest.mark.parametrize("ending", ["gz", "zst"])
def test_a_damaged_archive_is_a_verdict(history: History, tmp_path: Path, ending: str, cut: int) -> None:
    whole = gzip.compress(results()) if ending == "gz" else zstandard.compress(results())
    (tmp_path / f"run_results.json.{ending}").write_bytes(whole[:-cut])
    assert verdicts(history, tmp_path) == {f"run_results.json.{ending}": "unreadable"}


def test_flipped_bytes_of_an_archive_are_a_verdict(history: History, tmp_path: Path) -> None:
    whole = bytearray(gzip.compress(results()))
    for at in range(20, len(whole), 7):
        whole[at] ^= 0xFF
    (tmp_path / "run_results.json.gz").write_bytes(whole)
    assert verdicts(history, tmp_path) == {"run_results.json.gz": "unreadable"}


def test_an_archive_that_unpacks_beyond_any_artifact_is_a_verdict(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "_MOST_BYTES", 10_000)
    (tmp_path / "run_results.json.gz").write_bytes(gzip.compress(b" " * 50_000_000))
    assert verdicts(history, tmp_path) == {"run_results.json.gz": "unreadable"}


def test_a_pipe_is_a_verdict_and_is_not_waited_for(history: History, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "run_results.json")
    assert verdicts(history, tmp_path) == {"run_results.json": "unreadable"}


@pytest.mark.parametrize("target", ["/dev/zero", "elsewhere.json"])
def test_a_link_that_leads_out_of_its_folder_is_a_verdict(history: History, tmp_path: Path, target: str) -> None:
    (tmp_path / "elsewhere.json").write_bytes(results())
    folder = tmp_path / "target"
    folder.mkdir()
    (folder / "run_results.json").symlink_to(target if target.startswith("/") else tmp_path / target)
    assert verdicts(history, folder) == {"run_results.json": "unreadable"}


def test_a_link_within_its_folder_is_followed(history: History, tmp_path: Path) -> None:
    (tmp_path / "of-today.json").write_bytes(results())
    (tmp_path / "run_results.json").symlink_to("of-today.json")
    assert verdicts(history, tmp_path) == {"run_results.json": "accepted"}


def test_a_linked_folder_below_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / "linked").symlink_to(tmp_path / "real")
    assert find_artifacts([str(tmp_path / "tree")], recursive=True) == []
    assert "not followed" in caplog.text


def test_a_name_that_no_encoding_has_is_shown_with_replacements(history: History, tmp_path: Path) -> None:
    folder = tmp_path / os.fsdecode(b"caf\xe9")
    folder.mkdir()
    (folder / "run_results.json").write_bytes(results())
    [found] = collect_files(history, artifacts_in(str(folder)), Context("p", "prod"))
    assert found.verdict["verdict"] == "accepted"
    assert "caf\ufffd/run_results.json" in history.read("artifact_verdicts")["path"].to_pylist()[0]


def test_half_a_surrogate_pair_is_replaced_and_counted(history: History, tmp_path: Path) -> None:
    content = results(message="MARK").replace(b"MARK", rb"before \ud800 pair \ud83d\ude00 escaped \\ud800 after")
    (tmp_path / "run_results.json").write_bytes(content)
    [found] = collect_files(history, artifacts_in(str(tmp_path)), Context("p", "prod"))
    assert (found.verdict["verdict"], found.verdict["tolerated_count"]) == ("accepted", 1)
    [row] = history.read("node_results").to_pylist()
    assert row["message"] == "before \ufffd pair \U0001f600 escaped \\ud800 after"


def test_a_refused_file_is_read_once(history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "run_results.json").write_bytes(b'{"metadata": ')
    reads = []
    original = ArtifactFile.read
    monkeypatch.setattr(ArtifactFile, "read", lambda self: reads.append(self.name) or original(self))
    [found] = collect_files(history, artifacts_in(str(tmp_path)), Context("p", "prod"))
    assert (found.verdict["verdict"], len(reads)) == ("unreadable", 1)
    assert found.verdict["sha256"]


def test_credentials_in_a_databases_message_reach_no_table(history: History, tmp_path: Path) -> None:
    (tmp_path / "run_results.json").write_bytes(
        results(status="error", message="could not connect to postgres://dbt:hunter2@db/x as the-known-one")
    )
    context = Context("p", "prod", secrets=("the-known-one",))
    collect_files(history, artifacts_in(str(tmp_path)), context)
    assert history.read("node_results")["message"].to_pylist() == [
        "could not connect to postgres://dbt:***@db/x as ***"
    ]


@pytest.mark.parametrize("kind", [UsageError, HistoryError, NoBuild, DatabaseLocked])
def test_errors_survive_the_way_between_processes(kind: type[UsageError]) -> None:
    error = pickle.loads(pickle.dumps(kind("what", "where", "next")))
    assert (error.what, error.where, error.next_command, str(error)) == (
        "what",
        "where",
        "next",
        "error: what\nwhere: where\nnext:  next",
    )
    problem = pickle.loads(pickle.dumps(UnreadableArtifact(Verdict.UNREADABLE, "reason")))
    assert (problem.verdict, problem.reason) == (Verdict.UNREADABLE, "reason")


def test_a_new_manifest_reads_no_more_however_many_there_were(
    history: History, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[str] = []
    original = Store.read
    monkeypatch.setattr(Store, "read", lambda self, name: reads.append(name) or original(self, name))
    counts = []
    for i in range(30):
        at = artifacts.NOW.replace(hour=i % 20, minute=i)
        node = artifacts.node("model.p.m", checksum={"name": "sha256", "checksum": str(i)})
        folder = artifacts.write(
            tmp_path / str(i), manifest=artifacts.manifest([node, artifacts.node("model.p.n")], at)
        )
        reads.clear()
        collect_files(history, artifacts_in(str(folder)), Context("p", "prod"))
        counts.append(len(reads))
    assert counts[-1] == counts[10] < 30
    # The node that never changed is written once.
    assert history.read("nodes")["unique_id"].to_pylist().count("model.p.n") == 1


def test_other_files_of_dbt_are_passed_over(tmp_path: Path) -> None:
    for name in ("semantic_manifest.json", "graph_summary.json", "partial_parse.json", "semantic_manifest.json.gz"):
        (tmp_path / "manifests" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "manifests" / name).write_text("{}")
    (tmp_path / "manifests" / "2026-01-31.json").write_text("{}")
    found = find_artifacts([str(tmp_path)], recursive=True)
    assert [file.file_name for file in found] == ["2026-01-31.json"]
