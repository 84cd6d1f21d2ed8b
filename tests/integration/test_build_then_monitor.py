"""The target that a scheduler calls: it monitors also after a failed build, ends with the build's code, and never runs twice at once."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.command import ROOT, Ended, environ, greenery, run

pytestmark = pytest.mark.xdist_group("build_then_monitor")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home with the dbt projects beside it, so that the lock file is its own."""
    for name in ("inventory_project", "monitor_project"):
        (tmp_path / name).symlink_to(ROOT / name)
    assert (
        greenery(tmp_path, "generate", "--out", str(tmp_path / "raw"), "--week", "2", "--bad", "duplicates").code == 0
    )
    loaded = greenery(
        tmp_path,
        "load",
        str(tmp_path / "raw" / "week=2"),
        "--database",
        str(tmp_path / "shop" / "inventory_prod.duckdb"),
    )
    assert loaded.code == 0, loaded
    return tmp_path


def call(home: Path, *arguments: str) -> Ended:
    return run([sys.executable, str(ROOT / "tools" / "build_then_monitor.py"), *arguments], environ(home), cwd=home)


def test_a_failed_build_is_monitored_and_gives_its_code(home: Path) -> None:
    ended = call(home)
    assert ended.code == 1, ended
    assert "test unique on stg_greenery__orders.order_id fails" in ended.out
    assert (home / "report.html").is_file()
    assert "offdag monitor: exit code 0" in ended.err


def test_overlapping_calls_wait_or_leave_and_say_for_whom(home: Path) -> None:
    lock = home / ".offdag" / "build_then_monitor.lock"
    lock.parent.mkdir()
    code = (
        "import fcntl, os, sys; f = open(sys.argv[1], 'a+'); fcntl.flock(f, fcntl.LOCK_EX);"
        "f.write(str(os.getpid())); f.flush(); print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        start = time.monotonic()
        ended = call(home, "--wait", "1")
        assert ended.code == 75, ended
        assert f"waits up to 1 s for process {holder.pid}" in ended.err
        assert f"process {holder.pid} is still at it" in ended.err
        assert time.monotonic() - start > 1
