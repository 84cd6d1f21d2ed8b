"""`offdag run` under signals: dbt gets them, what dbt leaves is collected, and the exit code is dbt's own."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import time
from pathlib import Path

import pytest

from offdag.history.history import History
from sim import artifacts
from support.command import ROOT, environ, offdag

# A program in dbt's place: it writes results, says that it is ready, and ends as its second word says.
DBT = """
import json, os, pathlib, signal, sys, time
ready = pathlib.Path(os.environ["READY"])
how = os.environ["HOW"]
if how == "early":
    ready.write_text(str(os.getpid()))
    time.sleep(60)
target = pathlib.Path(os.environ["DBT_TARGET_PATH"]); target.mkdir(exist_ok=True)
document = json.loads({document!r})
document["metadata"]["invocation_id"] = os.environ.get("RUN", "run-00001")
(target / "run_results.json").write_text(json.dumps(document))
if how == "wait":
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, lambda received, _: (ready.with_suffix(".got").write_text(str(received)), sys.exit(2)))
ready.touch()
if how == "wait":
    time.sleep(60)
elif how == "end":
    while not ready.with_suffix(".end").exists(): time.sleep(0.02)
elif how == "tty":
    with open("/dev/tty", "r+b", buffering=0) as tty:
        tty.write(b"name? ")
        ready.with_suffix(".got").write_bytes(tty.readline())
sys.exit(int(os.environ.get("CODE", "1")))
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: p\n")
    document = json.dumps(artifacts.run_results([artifacts.result("model.p.m")]))
    (folder / "dbt").write_text(DBT.format(document=document))
    return folder


def command(project: Path) -> list[str]:
    words = [sys.executable, str(project / "dbt"), "build"]
    return [
        sys.executable,
        "-m",
        "offdag",
        "run",
        "-e",
        "prod",
        "--project-dir",
        str(project),
        "--no-observe",
        "--",
        *words,
    ]


def env(home: Path, how: str, **more: str) -> dict[str, str]:
    return environ(home, {"READY": str(home / "ready"), "HOW": how, **more})


def start(home: Path, project: Path, how: str, **more: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        command(project), env=env(home, how, **more), cwd=ROOT, stderr=subprocess.PIPE, text=True
    )
    wait_for(home / "ready")
    return process


def wait_for(path: Path) -> None:
    deadline = time.monotonic() + 30
    while not path.exists():
        assert time.monotonic() < deadline, path
        time.sleep(0.02)


def results(home: Path) -> list[str]:
    history = History.open_existing(str(home / "history"))
    return sorted(history.read("invocations", ["invocation_id"])["invocation_id"].to_pylist())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_reaches_dbt_and_its_results_are_collected(
    tmp_path: Path, project: Path, number: signal.Signals
) -> None:
    process = start(tmp_path, project, "wait")
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert (tmp_path / "ready.got").read_text() == str(int(number))
    assert results(tmp_path) == ["run-00001"]


def test_signals_while_offdag_collects_lose_nothing(tmp_path: Path, project: Path) -> None:
    """The second Ctrl-C of an impatient person, and the scheduler's SIGTERM."""
    process = start(tmp_path, project, "end", CODE="1")
    (tmp_path / "ready.end").touch()
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        time.sleep(0.02)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (1, 128 + signal.SIGTERM, 128 + signal.SIGINT), err
    assert "dbt ended with" in err, err
    assert results(tmp_path) == ["run-00001"]


def test_what_a_killed_offdag_left_is_collected_by_the_next_run(tmp_path: Path, project: Path) -> None:
    process = start(tmp_path, project, "end", RUN="run-00001")
    process.kill()
    process.wait(60)
    (tmp_path / "ready.end").touch()
    history = History.open_existing(str(tmp_path / "history"))
    [lost] = history.read("job_starts").to_pylist()
    assert (lost["environment"], lost["is_build"]) == ("prod", True)
    time.sleep(0.3)
    done = subprocess.run(
        command(project),
        env=env(tmp_path, "end", RUN="run-00002"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done
    assert "collected 1 artifacts that an earlier run left" in done.stderr
    assert results(tmp_path) == ["run-00001", "run-00002"]
    third = subprocess.run(
        command(project),
        env=env(tmp_path, "end", RUN="run-00003"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "an earlier run left" not in third.stderr


def test_what_a_killed_offdag_left_has_the_environment_of_its_artifact(tmp_path: Path, project: Path) -> None:
    document = artifacts.run_results([artifacts.result("model.p.m")])
    document["args"]["target"] = "staging"
    (project / "dbt").write_text(DBT.format(document=json.dumps(document)))
    without = [word for word in command(project) if word not in ("-e", "prod")]
    first = subprocess.Popen(without, env=env(tmp_path, "end", RUN="run-00001"), cwd=ROOT, stderr=subprocess.DEVNULL)
    wait_for(tmp_path / "ready")
    first.kill()
    first.wait(60)
    (tmp_path / "ready.end").touch()
    time.sleep(0.3)
    subprocess.run(without, env=env(tmp_path, "end", RUN="run-00002"), cwd=ROOT, capture_output=True, check=False)
    rows = History.open_existing(str(tmp_path / "history")).read("invocations").to_pylist()
    assert {row["invocation_id"]: row["environment"] for row in rows} == {
        "run-00001": "staging",
        "run-00002": "staging",
    }


def test_artifacts_from_before_a_killed_run_are_not_its_own(tmp_path: Path, project: Path) -> None:
    target = tmp_path / "shop_target"
    target.mkdir()
    by_hand = artifacts.run_results([artifacts.result("model.p.m")], invocation_id="by-hand")
    (target / "run_results.json").write_text(json.dumps(by_hand))
    first = subprocess.Popen(command(project), env=env(tmp_path, "early"), cwd=ROOT, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 30
    while not (tmp_path / "ready").exists() or not (tmp_path / "ready").read_text():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    first.kill()
    first.wait(60)
    os.kill(int((tmp_path / "ready").read_text()), signal.SIGKILL)
    (tmp_path / "ready.end").touch()
    subprocess.run(command(project), env=env(tmp_path, "end"), cwd=ROOT, capture_output=True, check=False)
    assert results(tmp_path) == ["run-00001"]


def test_a_signal_that_was_ignored_at_the_start_stays_so(tmp_path: Path, project: Path) -> None:
    """As under nohup."""
    process = subprocess.Popen(
        command(project),
        env=env(tmp_path, "end", CODE="0"),
        cwd=ROOT,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509 - no other thread runs here
    )
    wait_for(tmp_path / "ready")
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    (tmp_path / "ready.end").touch()
    assert process.wait(60) == 0


def test_a_wait_for_another_run_ends_with_a_signal(tmp_path: Path, project: Path) -> None:
    first = start(tmp_path, project, "end")
    second = subprocess.Popen(command(project), env=env(tmp_path, "end"), cwd=ROOT, stderr=subprocess.PIPE, text=True)
    assert second.stderr is not None
    line = second.stderr.readline()
    assert "another offdag run uses" in line
    second.send_signal(signal.SIGINT)
    _, err = second.communicate(timeout=10)
    assert (second.returncode, "until SIGINT" in err) == (2, True), err
    (tmp_path / "ready.end").touch()
    first.communicate(timeout=60)


def test_a_link_to_nothing_stops_no_run(tmp_path: Path, project: Path) -> None:
    (project / "target").mkdir()
    (project / "target" / "manifest.json").symlink_to("gone.json")
    (tmp_path / "ready.end").touch()
    ended = subprocess.run(
        command(project), env=env(tmp_path, "end"), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False), ended


def test_a_second_run_in_one_target_folder_waits_or_is_refused(tmp_path: Path, project: Path) -> None:
    first = start(tmp_path, project, "end")
    again = command(project)
    again[4:4] = ["--lock-timeout", "0.5"]
    refused = subprocess.run(again, env=env(tmp_path, "end"), cwd=ROOT, capture_output=True, text=True, check=False)
    assert refused.returncode == 2, refused
    assert "another offdag run has used the target folder" in refused.stderr
    (tmp_path / "ready.end").touch()
    first.communicate(timeout=60)
    assert first.returncode == 1


def test_a_stderr_that_is_gone_changes_no_exit_code(tmp_path: Path, project: Path) -> None:
    process = start(tmp_path, project, "end", CODE="0")
    assert process.stderr is not None
    process.stderr.close()
    (tmp_path / "ready.end").touch()
    assert process.wait(60) == 0
    assert results(tmp_path) == ["run-00001"]


def test_dbt_keeps_the_terminal(tmp_path: Path, project: Path) -> None:
    ours, theirs = pty.openpty()

    def take_terminal() -> None:
        os.setsid()
        fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)

    with subprocess.Popen(
        command(project), env=env(tmp_path, "tty", CODE="0"), cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs,
        preexec_fn=take_terminal,  # noqa: PLW1509 - no other thread runs here
    ) as process:  # fmt: skip
        os.close(theirs)
        wait_for(tmp_path / "ready")
        os.write(ours, b"moss\n")
        wait_for(tmp_path / "ready.got")
        shown = b""
        while b"artifacts: run_results accepted" not in shown:
            shown += os.read(ours, 4096)
        assert process.wait(60) == 0
    assert (tmp_path / "ready.got").read_bytes().strip() == b"moss"
    os.close(ours)


def test_the_start_is_recorded_before_dbt_runs(tmp_path: Path, project: Path) -> None:
    process = start(tmp_path, project, "end", CODE="0")
    history = History.open_existing(str(tmp_path / "history"))
    assert history.read("job_starts").num_rows == 1
    assert history.read("job_runs").num_rows == 0
    (tmp_path / "ready.end").touch()
    process.communicate(timeout=60)
    assert history.read("job_runs").num_rows == 1


def test_a_history_that_cannot_be_written_stops_no_run(tmp_path: Path, project: Path) -> None:
    (tmp_path / "history").write_text("a file where the folder should be")
    process = start(tmp_path, project, "end", CODE="0")
    (tmp_path / "ready.end").touch()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert "offdag could not collect this run" in err
    assert "Traceback" not in err


def test_a_program_that_shows_no_dbt_counts_as_a_build(tmp_path: Path, project: Path) -> None:
    ended = offdag(tmp_path, "run", "-e", "prod", "--project-dir", str(project), "--no-observe", "--", "false")
    assert ended.code == 1
    [row] = History.open_existing(str(tmp_path / "history")).read("job_runs").to_pylist()
    assert (row["is_build"], row["has_results"]) == (True, False)
