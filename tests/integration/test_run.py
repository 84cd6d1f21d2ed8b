"""`offdag run` with small programs in dbt's place: what matters here is how the child ends and what it leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

from offdag.dbt.project import DbtProject
from offdag.history.history import History
from sim import artifacts
from support.command import ROOT, environ, offdag


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "dbt_project.yml").write_text("name: p\n")
    return folder


def child(project: Path, code: str) -> list[str]:
    """A stand-in for dbt: a Python program that is given the words of `dbt build`."""
    program = project / "dbt"
    program.write_text(code)
    return ["--project-dir", str(project), "--no-observe", "--", sys.executable, str(program), "build"]


WRITES = """
import json, os, pathlib, sys
target = pathlib.Path(os.environ["DBT_TARGET_PATH"]); target.mkdir(exist_ok=True)
document = json.loads({document!r})
document["metadata"]["env"] = {{k[len("DBT_ENV_CUSTOM_ENV_"):]: v for k, v in os.environ.items() if k.startswith("DBT_ENV_CUSTOM_ENV_")}}
(target / "run_results.json").write_text(json.dumps(document))
sys.exit({code})
"""


def results() -> str:
    return json.dumps(artifacts.run_results([artifacts.result("model.p.m")]))


def jobs(home: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = History(str(home / "history")).read("job_runs").to_pylist()
    return rows


@pytest.mark.parametrize("code", [0, 1])
def test_the_exit_code_is_dbts_own(project: Path, tmp_path: Path, code: int) -> None:
    ended = offdag(
        tmp_path,
        "run",
        "-e",
        "prod",
        *child(project, WRITES.format(document=results(), code=code)),
        env={"OFFDAG_JOB_ID": "j1"},
    )
    assert ended.code == code, ended
    [job] = jobs(tmp_path)
    assert (job["exit_code"], job["has_results"], job["job_id"], job["project"]) == (code, True, "j1", "p")
    [invocation] = History(str(tmp_path / "history")).read("invocations").to_pylist()
    assert (invocation["job_id"], invocation["environment"]) == ("j1", "prod")
    assert invocation["project_variables"] == ""


def test_the_projects_variables_are_those_from_before_the_run(project: Path, tmp_path: Path) -> None:
    (project / "dbt_project.yml").write_text("name: p\nvars: {rate: 1}\n")
    started = DbtProject(project, {}).variable_hashes()
    edits = "pathlib.Path('dbt_project.yml').write_text('name: p\\nvars: {rate: 2}\\n')\nsys.exit(0)"
    program = WRITES.format(document=results(), code=0).replace("sys.exit(0)", edits)
    assert offdag(tmp_path, "run", "-e", "prod", *child(project, program)).code == 0
    [invocation] = History(str(tmp_path / "history")).read("invocations").to_pylist()
    assert invocation["project_variables"] == started != DbtProject(project, {}).variable_hashes()


def test_a_run_that_left_nothing_never_shows_the_last_green_one(project: Path, tmp_path: Path) -> None:
    artifacts.write(tmp_path / "shop_target", run_results=artifacts.run_results([artifacts.result("model.p.m")]))
    ended = offdag(tmp_path, "run", "-e", "prod", *child(project, "import sys; sys.exit(2)"))
    assert ended.code == 2
    assert "run_results stale" in ended.err
    [job] = jobs(tmp_path)
    assert (job["exit_code"], job["has_results"]) == (2, False)
    assert History(str(tmp_path / "history")).read("invocations").num_rows == 0


def test_the_log_of_a_run_that_left_nothing_is_shown(project: Path, tmp_path: Path) -> None:
    """As `dbt build --no-write-json` that failed: it is no build that did not start."""
    writes = """
import os, pathlib, sys
log = pathlib.Path(os.environ["DBT_LOG_PATH"]) / "dbt.log"; log.parent.mkdir(exist_ok=True)
log.write_text("11:40:02.566739 [error] [MainThread]: Database Error\\n11:40:02.6 [info ] [MainThread]: Done. PASS=0 ERROR=1")
sys.exit(1)
"""
    ended = offdag(tmp_path, "run", "-e", "prod", *child(project, writes))
    assert ended.code == 1
    assert "next:  offdag runs --log" in ended.err
    shown = offdag(tmp_path, "runs", "--log")
    assert shown.code == 0, shown
    assert shown.out.endswith("Database Error\nDone. PASS=0 ERROR=1\n")
    [run] = json.loads(offdag(tmp_path, "runs", "--format", "json").out)
    assert (run["exit_code"], run["has_results"], run["error_line"]) == (1, False, "Database Error")


def test_a_run_whose_collector_was_killed_is_shown_without_an_end(project: Path, tmp_path: Path) -> None:
    start = {
        "job_run_id": "j",
        "project": "p",
        "environment": "prod",
        "command": "dbt build",
        "started_at": artifacts.NOW,
    }
    History(str(tmp_path / "history")).put("job_starts", artifacts.NOW.date(), "j", [start])
    [run] = json.loads(offdag(tmp_path, "runs", "--format", "json").out)
    assert (run["command"], run.get("ended_at"), run.get("exit_code")) == ("dbt build", None, None)
    shown = offdag(tmp_path, "runs", "--log")
    assert shown.code == 0, shown
    assert "no run without results has a log" in shown.out


def test_a_killed_dbt_is_128_plus_its_signal(project: Path, tmp_path: Path) -> None:
    ended = offdag(tmp_path, "run", "-e", "prod", *child(project, "import os; os.kill(os.getpid(), 9)"))
    assert ended.code == 137
    [job] = jobs(tmp_path)
    assert (job["exit_code"], job["signal"]) == (137, "SIGKILL")


def test_signals_are_passed_on_and_existing_artifacts_are_collected(project: Path, tmp_path: Path) -> None:
    code = WRITES.format(document=results(), code=2).replace("sys.exit(2)", "")
    code += """
import signal, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
pathlib.Path(os.environ["READY"]).touch()
time.sleep(60)
"""
    ready = tmp_path / "ready"
    process = subprocess.Popen(
        [sys.executable, "-m", "offdag", "run", "-e", "prod", *child(project, code)],
        env=environ(tmp_path, {"READY": str(ready)}),
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )
    while not ready.exists():
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 2, err
    assert "run_results partial" in err


def test_collecting_trouble_never_changes_dbts_code(project: Path, tmp_path: Path) -> None:
    (tmp_path / "history").write_text("a file where the folder should be")
    ended = offdag(tmp_path, "run", "-e", "prod", *child(project, WRITES.format(document=results(), code=0)))
    assert ended.code == 0
    assert "could not collect this run" in ended.err
    assert f"then:  offdag collect -e prod {tmp_path / 'shop_target'}" in ended.err
    assert "Traceback" not in ended.err


def test_signals_reach_dbt_below_a_wrapper(project: Path, tmp_path: Path) -> None:
    ready, ended = tmp_path / "ready", tmp_path / "ended"
    inner = (
        f"import pathlib, signal, sys, time\n"
        f"def end(*_): pathlib.Path({str(ended)!r}).touch(); sys.exit(2)\n"
        f"signal.signal(signal.SIGTERM, end); pathlib.Path({str(ready)!r}).touch(); time.sleep(60)"
    )
    wrapper = f"import subprocess, sys; sys.exit(subprocess.call([sys.executable, '-c', {inner!r}]))"
    command = [sys.executable, "-m", "offdag", "run", "-e", "prod", *child(project, wrapper)]
    with subprocess.Popen(command, env=environ(tmp_path), cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        while not ready.exists():
            time.sleep(0.05)
        process.terminate()
        process.wait(30)
    deadline = time.monotonic() + 10
    while not ended.exists():
        assert time.monotonic() < deadline, "dbt was left running"
        time.sleep(0.05)


def test_results_that_another_collector_took_show_that_dbt_started(project: Path, tmp_path: Path) -> None:
    code = WRITES.format(document=results(), code=1).replace(
        "sys.exit(1)",
        "import subprocess; subprocess.run([sys.executable, '-m', 'offdag', 'collect', '-e', 'prod', str(target)]); sys.exit(1)",
    )
    assert offdag(tmp_path, "run", "-e", "prod", *child(project, code)).code == 1
    [job] = jobs(tmp_path)
    assert job["has_results"] is True
    assert job["invocation_id"] is not None


def test_the_environment_defaults_to_the_target(project: Path, tmp_path: Path) -> None:
    command = child(project, "import sys; sys.exit(2)")
    offdag(tmp_path, "run", *command, "--target", "prod")
    assert [job["environment"] for job in jobs(tmp_path)] == ["prod"]


def test_the_last_log_lines_are_kept_without_secrets(project: Path, tmp_path: Path) -> None:
    code = """
import os, pathlib, sys
logs = pathlib.Path(os.environ["DBT_LOG_PATH"]); logs.mkdir(exist_ok=True)
(logs / "dbt.log").write_text("first line\\npassword: hunter2\\nthe word s3cr3t-value\\nParsing Error in x\\n")
sys.exit(2)
"""
    offdag(tmp_path, "run", "-e", "prod", *child(project, code), env={"DBT_ENV_SECRET_X": "s3cr3t-value"})
    [job] = jobs(tmp_path)
    assert "Parsing Error" in str(job["log_tail"])
    assert "hunter2" not in str(job["log_tail"])
    assert "s3cr3t-value" not in str(job["log_tail"])


def test_slacks_secrets_do_not_reach_dbt(project: Path, tmp_path: Path) -> None:
    code = "import os, sys; sys.exit(3 if any('xoxb' in v for v in os.environ.values()) else 0)"
    assert (
        offdag(tmp_path, "run", "-e", "prod", *child(project, code), env={"OFFDAG_SLACK_BOT_TOKEN": "xoxb-1"}).code == 0
    )


SCRIPT = """
set -e
for number in 1 2 3; do
  cp {folder}/manifest-$number.json "$DBT_TARGET_PATH/manifest.json"
  cp {folder}/results-$number.json "$DBT_TARGET_PATH/run_results.json"
  sleep 0.8
done
exit 1
"""


def test_every_dbt_command_of_a_script_is_collected(project: Path, tmp_path: Path) -> None:
    ids = []
    for number, which in enumerate(("seed", "run", "test"), start=1):
        at = artifacts.NOW + timedelta(minutes=number)
        manifest = artifacts.manifest([artifacts.node(f"model.p.m{number}")], at)
        document = artifacts.run_results([artifacts.result(f"model.p.m{number}", at=at)], at, which)
        document["metadata"]["invocation_id"] = manifest["metadata"]["invocation_id"]
        ids.append(manifest["metadata"]["invocation_id"])
        (tmp_path / f"manifest-{number}.json").write_text(json.dumps(manifest))
        (tmp_path / f"results-{number}.json").write_text(json.dumps(document))
    target = tmp_path / "target"
    target.mkdir()
    (target / "run_results.json").write_text(json.dumps(artifacts.run_results([artifacts.result("model.p.earlier")])))
    script = tmp_path / "build.sh"
    script.write_text(SCRIPT.format(folder=tmp_path))
    command = ["--project-dir", str(project), "--no-observe", "--", "sh", str(script)]
    ended = offdag(tmp_path, "run", "-e", "prod", *command, env={"DBT_TARGET_PATH": str(target)})
    assert ended.code == 1, ended
    history = History(str(tmp_path / "history"))
    rows = {row["invocation_id"]: row for row in history.read("invocations").to_pylist()}
    assert [rows[i]["command"] for i in ids] == ["seed", "run", "test"]
    assert len(rows) == 3
    # Each with its own manifest, and the script's end is that of its last command.
    assert len({row["manifest_hash"] for row in rows.values()}) == 3
    [job] = jobs(tmp_path)
    assert (job["invocation_id"], job["exit_code"]) == (ids[2], 1)
