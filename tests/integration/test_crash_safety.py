"""A collector killed at any write, and collectors that work at once: the tables come out the same."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from offdag.collect.collection import collect
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from offdag.errors import ExitCode, HistoryError
from offdag.history.history import History
from offdag.history.store import Store
from sim import artifacts
from support.command import ROOT, environ


class SimulatedKill(BaseException):
    """The process ends here."""


def archive(folder: Path) -> Path:
    """Two runs with the same manifest, then one in which a node changed."""
    for day in range(3):
        at = artifacts.NOW + timedelta(days=day)
        node = artifacts.node("model.p.a", description="new" if day == 2 else "old")
        artifacts.write(
            folder / f"day{day}",
            manifest=artifacts.manifest(
                [node, artifacts.node("model.p.b", ("model.p.a",))], at, invocation_id=f"build-{day}"
            ),
            run_results=artifacts.run_results([artifacts.result("model.p.a", at=at)], at, invocation_id=f"build-{day}"),
            sources=artifacts.sources(
                [artifacts.freshness("source.p.s.t", at=at)], at, invocation_id=f"freshness-{day}"
            ),
        )
    return folder


def take(folder: Path, history: Path) -> None:
    collect(History(str(history)), find_artifacts([str(folder)], recursive=True), Context("p", "prod"))


def files(history: Path) -> dict[str, bytes]:
    """All files but the verdicts, which record each collection."""
    found = {p.relative_to(history).as_posix(): p for p in history.rglob("*") if p.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if "artifact_verdicts/run_date=2" not in name}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, bytes], int]:
    """The archive, what an undisturbed collector makes of it, and how often it writes."""
    home = tmp_path_factory.mktemp("whole")
    folder = archive(home / "archive")
    writes = 0
    original = Store.write

    def counted(self: Store, name: str, content: bytes) -> None:
        nonlocal writes
        writes += 1
        original(self, name, content)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "write", counted)
        take(folder, home / "history")
    return folder, files(home / "history"), writes


def killer(at: int, after: bool) -> Callable[[Store, str, bytes], None]:
    original = Store.write
    count = 0

    def write(self: Store, name: str, content: bytes) -> None:
        nonlocal count
        count += 1
        if count == at and not after:
            raise SimulatedKill
        original(self, name, content)
        if count == at:
            raise SimulatedKill

    return write


@pytest.mark.parametrize("after", [False, True])
def test_killed_at_any_write_and_repeated_gives_the_same_files(
    whole: tuple[Path, dict[str, bytes], int], tmp_path: Path, after: bool
) -> None:
    folder, expected, writes = whole
    assert writes > 30
    for at in range(1, writes + 1):
        history = tmp_path / f"killed-at-{at}"
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Store, "write", killer(at, after))
            with pytest.raises(SimulatedKill):
                take(folder, history)
        assert not list(history.rglob("*.tmp"))
        take(folder, history)
        assert files(history) == expected, f"killed at write {at}"


def test_a_full_disk_is_a_clear_error_and_leaves_nothing_half_written(
    whole: tuple[Path, dict[str, bytes], int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, expected, _ = whole
    count = 0
    real = os.fsync

    def full(descriptor: int) -> None:
        nonlocal count
        count += 1
        if count > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(HistoryError, match="No space left on device") as problem:
            take(folder, tmp_path / "history")
    assert problem.value.exit_code == ExitCode.UNREADABLE
    assert not list((tmp_path / "history").rglob("*.tmp"))
    take(folder, tmp_path / "history")
    assert files(tmp_path / "history") == expected


def test_eight_collectors_at_once_lose_and_double_nothing(
    whole: tuple[Path, dict[str, bytes], int], tmp_path: Path
) -> None:
    folder, expected, _ = whole
    command = [sys.executable, "-m", "offdag", "collect", "-r", "--project", "p", "-e", "prod", str(folder)]
    processes = [subprocess.Popen(command, cwd=ROOT, env=environ(tmp_path), stderr=subprocess.PIPE) for _ in range(8)]
    for process in processes:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 0, err
    found = files(tmp_path / "history")
    # What only one of them may name new, each may have written: copies of rows that staging removes, never other rows.
    same = {
        name
        for name in expected
        # Which manifests a later one is compared with, each may have noted last: any of them serves.
        if not name.startswith(
            ("tables/nodes/", "tables/node_dependencies/", "tables/exposures/", "contents/newest_manifests/")
        )
    }
    assert {name: found[name] for name in same} == {name: expected[name] for name in same}
    hashes = {row["node_hash"] for row in History(str(tmp_path / "history")).read("nodes").to_pylist()}
    assert len(hashes) == 3
