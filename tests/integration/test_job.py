"""The verb that a scheduler calls: it monitors also after a failed build, ends with the build's code, and never runs twice at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from offdag.history.history import History
from support.command import ROOT, CommandResult, environ, greenery, offdag

pytestmark = pytest.mark.slow

BUILD = ("--", "dbt", "build", "--target", "prod")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A home with a bad load of the shop."""
    raw = tmp_path / "raw"
    assert greenery(tmp_path, "generate", "--out", str(raw), "--week", "2", "--bad", "duplicates").code == 0
    database = str(tmp_path / "shop" / "inventory_prod.duckdb")
    loaded = greenery(tmp_path, "load", str(raw / "week=2"), "--database", database)
    assert loaded.code == 0, loaded
    return tmp_path


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a program in dbt's place, which writes nothing and ends when a file appears."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: p\n")
    (folder / "dbt").write_text(
        f"#!{sys.executable}\n"
        "import pathlib, signal, sys, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "here = pathlib.Path(__file__).parent\n"
        "(here / f'started-{sys.argv[1]}').touch()\n"
        "while not (here / 'end').exists(): time.sleep(0.05)\n"
        "sys.exit(3)\n"
    )
    (folder / "dbt").chmod(0o755)
    return folder


def job(home: Path, *arguments: str) -> CommandResult:
    return offdag(home, "job", "-e", "prod", *arguments)


def test_a_failed_build_is_monitored_and_gives_its_code(shop: Path) -> None:
    ended = job(shop, "--project-dir", "inventory_project", *BUILD)
    assert ended.code == 1, ended
    assert "test unique on stg_greenery__orders.order_id fails" in ended.out
    assert (shop / "report.html").is_file()
    for step in ("dbt source freshness", "monitor", "notify", "report"):
        assert f"-- {step}: done in" in ended.err, ended
    runs = History.open_existing(str(shop / "history")).read("job_runs").to_pylist()
    assert {row["command"] for row in runs} == {"dbt source freshness --target prod", "dbt build --target prod"}
    assert len({row["job_id"] for row in runs}) == 1


def start(home: Path, project: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "offdag", "job", "-e", "prod", "--project-dir", str(project), "--no-freshness"]
    command += [*arguments, "--", str(project / "dbt"), "build"]
    return subprocess.Popen(command, env=environ(home), cwd=ROOT, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.05)


def test_the_lock_is_held_until_the_build_has_ended_whatever_signal_comes(tmp_path: Path, project: Path) -> None:
    first = start(tmp_path, project)
    wait_for(project / "started-build")
    os.kill(first.pid, signal.SIGTERM)
    # dbt does not stop at the signal: the next job has to wait for it, and logs its process.
    second = start(tmp_path, project, "--wait", "1")
    _, err = second.communicate(timeout=60)
    assert second.returncode == 75, err
    assert f"job waits up to 1 s for process {first.pid}" in err
    assert f"job ends: process {first.pid} is still running" in err
    (project / "end").touch()
    _, err = first.communicate(timeout=60)
    assert first.returncode == 3, err
    assert "job stopped by SIGTERM: monitor is left to the next run" in err
    third = start(tmp_path, project, "--wait", "0")
    _, err = third.communicate(timeout=120)
    assert third.returncode == 3, err
    assert "-- monitor: done in" in err


def test_a_dbt_that_cannot_start_does_not_stop_the_monitor(tmp_path: Path, project: Path) -> None:
    ended = job(tmp_path, "--project-dir", str(project), "--no-freshness", "--", str(project / "gone" / "dbt"), "build")
    assert ended.code == 2, ended
    assert "cannot start" in ended.err
    assert "-- monitor: done in" in ended.err
    assert "Traceback" not in ended.err
