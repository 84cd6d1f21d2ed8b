"""The tests' dbt, a fork of a process that has imported it, does what dbt does as a process of its own."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from offdag.clock import utc_now
from sim import artifacts
from support import warm
from support.command import environ, offdag, run

# What differs between two calls of one dbt: in its artifacts, and in its lines.
OWN = re.compile(r"_?invocation_id|\w+_at|execution_time|elapsed_time|thread_id")
TIMES = re.compile(r"\d\d:\d\d:\d\d|\d+\.\d+ ?s\w*")

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="elsewhere tests call the real dbt")]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A model that can be built, one that cannot, and one that takes a minute."""
    models = {
        "given": "select '{{ env_var('GIVEN') }}' as given",
        "broken": "select no_such_column from {{ ref('given') }}",
        "slow": "select count(*) as c from range(200000) a, range(200000) b where a.range * b.range % 7 = 1",
    }
    (tmp_path / "models").mkdir()
    for name, sql in models.items():
        (tmp_path / "models" / f"{name}.sql").write_text(sql)
    (tmp_path / "dbt_project.yml").write_text("{name: p, profile: p, models: {+materialized: table}}")
    output = {"type": "duckdb", "path": str(tmp_path / "p.duckdb")}
    (tmp_path / "profiles.yml").write_text(json.dumps({"p": {"target": "t", "outputs": {"t": output}}}))
    return tmp_path


def way(project: Path, is_warm: bool) -> dict[str, str]:
    """The variables of a call; nothing is left of the last one."""
    shutil.rmtree(project / "shop_target", ignore_errors=True)
    shutil.rmtree(project / "shop_logs", ignore_errors=True)
    (project / "p.duckdb").unlink(missing_ok=True)
    return environ(project, {"GIVEN": "é\nb", **({} if is_warm else warm.COLD)})


def served() -> list[int]:
    """The processes of the calls that were served."""
    return [int(pid) for pid in re.findall(r"(?m)^served by (\d+):", (warm.start() / "log").read_text())]


def without_own(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: without_own(v) for k, v in value.items() if not OWN.fullmatch(k)}
    return [without_own(v) for v in value] if isinstance(value, list) else value


def without_times(output: str) -> str:
    return TIMES.sub("", output)


def left(project: Path) -> dict[str, Any]:
    """The artifacts."""
    return {path.name: json.loads(path.read_text()) for path in (project / "shop_target").glob("*.json")}


@pytest.mark.parametrize(
    ("code", "arguments"),
    [
        (0, "build --select given"),
        (1, "build --exclude slow"),
        (2, "build --no-such-flag"),
        (2, "build --profile no_such"),
        (0, "show --select given --output json"),
    ],
)
def test_code_output_and_artifacts_are_dbts(project: Path, code: int, arguments: str) -> None:
    ways = []
    for is_warm in (True, False):
        before = served()
        # Its folder, variables and mask are given by a shell.
        ended = run(["sh", "-c", f"umask 027; dbt {arguments}"], way(project, is_warm), cwd=project)
        assert len(served()) == len(before) + is_warm
        modes = {path.name: path.stat().st_mode for path in (project / "shop_target").glob("*")}
        ways.append((ended.code, without_times(ended.out), ended.err, modes, without_own(left(project))))
    assert ways[0][0] == code, ways[0]
    assert ways[0] == ways[1]


def test_each_call_is_an_invocation_of_its_own(project: Path) -> None:
    identities = set()
    for _ in range(2):
        started = utc_now()
        ended = run(["dbt", "build", "--select", "given"], way(project, is_warm=True), cwd=project)
        assert ended.code == 0, ended
        for name in ("manifest.json", "run_results.json"):
            metadata = left(project)[name]["metadata"]
            identities.add(metadata["invocation_id"])
            at = datetime.fromisoformat(metadata["invocation_started_at"].removesuffix("Z"))
            assert started < at.replace(tzinfo=None) < utc_now()
    assert len(identities) == 2


def wait(is_met: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_met():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_signal_ends_it_as_dbt(project: Path, sent: signal.Signals) -> None:
    ways = []
    log = project / "shop_logs" / "dbt.log"
    for is_warm in (True, False):
        with subprocess.Popen(
            ["dbt", "build", "--select", "slow"],
            cwd=project,
            env=way(project, is_warm),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=os.setpgrp,  # noqa: PLW1509 - no other thread runs here
        ) as process:
            # Its query has to run: dbt cannot cancel one that comes later.
            wait(lambda: log.is_file() and "create  table" in log.read_text())
            time.sleep(1)
            # To the group, as offdag does.
            os.killpg(process.pid, sent)
            output, _ = process.communicate(timeout=60)
        # Which idle connections dbt cancels too, and in which order its threads end, differs from call to call.
        ways.append((process.returncode, "CANCEL query" in output, "Done." in output))
    assert ways[0] == ways[1]
    # Also where only the server could know that the caller was killed.
    wait(lambda: not Path(f"/proc/{served()[-1]}").exists())


@pytest.mark.parametrize("reason", ["PYTHONHASHSEED=1", "nohup", "no server"])
def test_what_a_fork_would_not_have_is_left_to_dbt(tmp_path: Path, reason: str) -> None:
    before = served()
    env = environ(tmp_path)
    command = ["dbt", "--version"]
    if reason == "no server":
        shutil.copy(warm.start() / "dbt", tmp_path)
        env["PATH"] = f"{tmp_path}:{env['PATH']}"
    else:
        command = ["env", reason, *command] if "=" in reason else [reason, *command]
    ended = run(command, env, cwd=tmp_path)
    assert (ended.code, "duckdb" in ended.out) == (0, True), ended
    assert served() == before


def test_the_monitors_planner_does_the_same(tmp_path: Path) -> None:
    target = artifacts.write(
        tmp_path / "target",
        manifest=artifacts.manifest([artifacts.node("model.p.m")]),
        run_results=artifacts.run_results([artifacts.result("model.p.m", "error")]),
    )
    assert offdag(tmp_path, "collect", "-e", "prod", str(target)).code == 0
    ways = []
    for is_warm in (True, False):
        before = served()
        ended = offdag(tmp_path, "monitor", "--as-of", "2026-02-01T00:00:00", env={} if is_warm else warm.COLD)
        assert len(served()) == len(before) + is_warm
        (tmp_path / "monitor.duckdb").unlink()
        shutil.move(tmp_path / "monitor_target" / "plan.json", plan := tmp_path / f"plan_{is_warm}.json")
        document = json.loads(plan.read_text())
        # In the order in which dbt's threads ended.
        document["steps"].sort(key=lambda step: step["unique_id"])
        ways.append((ended.code, ended.out, ended.err, document))
    assert ways[0] == ways[1]
