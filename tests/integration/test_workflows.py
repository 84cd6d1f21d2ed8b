"""The shell steps of the workflows and of the action, run unchanged; only GitHub itself is missing."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.command import BIN, ROOT, CommandResult, environ, offdag, run

pytestmark = pytest.mark.slow


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A copy of this checkout without what was made in it, with the virtual environment of this one."""
    made = shutil.ignore_patterns(".*cache*", ".git", ".venv", ".offdag", "__pycache__", "target", "logs", "data")
    home = tmp_path / "checkout"
    # The projects' own folders of tests come with them.
    shutil.copytree(
        ROOT, home, ignore=lambda folder, names: {*made(folder, names), *(["tests"] if Path(folder) == ROOT else [])}
    )
    venv = home / ".venv"
    venv.mkdir()
    for path in Path(sys.prefix).iterdir():
        (venv / path.name).symlink_to(path)
    # Make must not take it for outdated: it would install the copy into the environment of this checkout.
    (venv / ".installed").unlink(missing_ok=True)
    (venv / ".installed").touch()
    return home


def steps(file: str, job: str | None = None) -> list[dict[str, Any]]:
    document = yaml.safe_load((ROOT / file).read_text())
    found = document["jobs"][job]["steps"] if job else document["runs"]["steps"]
    return [step for step in found if "run" in step]


def shell(step: dict[str, Any], folder: Path, env: dict[str, str]) -> CommandResult:
    """A step as GitHub runs it: bash, ends at the first error."""
    clean = {
        k: v for k, v in environ(folder).items() if not k.startswith(("OFFDAG_", "INVENTORY_", "DBT_TARGET", "DBT_LOG"))
    }
    return run(["bash", "-eo", "pipefail", "-c", step["run"]], {**clean, **env}, cwd=folder)


def test_the_scheduled_workflow_then_the_review(checkout: Path, tmp_path: Path) -> None:
    load, build, monitor = steps(".github/workflows/scheduled.yml", "scheduled")
    for step in (load, build, monitor):
        ended = shell(step, checkout, {})
        assert ended.code == 0, ended
    assert (checkout / ".offdag" / "report.html").is_file()
    summary = tmp_path / "summary.md"
    env = {"GITHUB_STEP_SUMMARY": str(summary), "GITHUB_WORKSPACE": str(checkout), "CI_ARGS": "--comment"}
    [review] = steps(".github/workflows/ci.yml", "review")
    ended = shell(review, checkout, env)
    assert ended.code == 0, ended
    assert "Tables: none was built" in summary.read_text()
    # On a push there is no pull request, and no token here.
    assert "the comment has no place: GITHUB_REPOSITORY, OFFDAG_GITHUB_TOKEN not set" in ended.err


def test_the_steps_of_the_other_job_are_the_readmes_commands() -> None:
    assert [step["run"] for step in steps(".github/workflows/ci.yml", "test")] == ["bash .ci/run"]


def test_the_action_installs_this_package_and_reviews(checkout: Path, tmp_path: Path) -> None:
    install, review = steps("action.yml")
    inputs = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    target = tmp_path / "installed"
    pip = {
        # The package's requirements are installed already; only the package is built and installed.
        "PIP_NO_DEPS": "1",
        # pip reads this one the other way round.
        "PIP_NO_BUILD_ISOLATION": "0",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "PIP_TARGET": str(target),
        "GITHUB_ACTION_PATH": str(checkout),
        "PACKAGES": inputs["packages"]["default"],
    }
    ended = shell(install, tmp_path, pip)
    assert ended.code == 0, ended
    assert (target / "offdag" / "monitor_project" / "dbt_project.yml").is_file()
    assert run(["make", "load", "TARGET=ci"], environ(checkout, {"INVENTORY_DATA_DIR": "data"}), cwd=checkout).code == 0
    names = {"PROJECT_DIR": "inventory_project", "HISTORY": str(tmp_path / "history")}
    values = {
        name: str(inputs[name.lower().replace("_", "-")]["default"])
        for name in ("FROM", "TO", "COMMAND", "FAIL_ON", "STATE", "SAMPLES", "BASE", "COMMENT")
    } | {"EVENT": "synchronize", "FORK": "false"}
    # The installed package comes before the one that is tested.
    script = tmp_path / "bin"
    script.mkdir()
    (script / "offdag").write_text(f'#!/bin/sh\nexec {sys.executable} -c "from offdag.cli import main; main()" "$@"\n')
    (script / "offdag").chmod(0o755)
    env = {**values, **names, "PYTHONPATH": str(target), "PATH": f"{script}:{BIN}:{os.environ['PATH']}"}
    ended = shell(review, checkout, env)
    assert ended.code == 0, ended
    outputs = yaml.safe_load((ROOT / "action.yml").read_text())["outputs"]
    assert "passed" in (checkout / outputs["summary"]["value"]).read_text()
    assert (checkout / outputs["junit"]["value"]).is_file()
    # The flags of a closed pull request, and of a fork: a stand-in prints them.
    (script / "offdag").write_text('#!/bin/sh\necho "$@"\n')
    closed = shell(review, checkout, {**env, "EVENT": "closed", "STATE": "s", "BASE": "main"})
    assert closed.out.split("--samples 0 ")[1] == "--state s --base main --drop --\n"
    fork = shell(review, checkout, {**env, "FORK": "true"})
    assert fork.out.split("--samples 0 ")[1] == "--comment --read-only --\n"


def test_no_input_of_the_action_is_read_as_code() -> None:
    assert all("${{" not in step["run"] for step in steps("action.yml"))


def test_the_hook_is_a_valid_one_and_its_entry_is_a_verb(tmp_path: Path) -> None:
    path = ROOT / ".pre-commit-hooks.yaml"
    checked = run([str(BIN / "pre-commit"), "validate-manifest", str(path)], environ(tmp_path))
    assert checked.code == 0, checked
    [hook] = yaml.safe_load(path.read_text())
    _, *words = hook["entry"].split()
    assert offdag(tmp_path, *words, "--help").code == 0


def test_make_schedule_prints_lines_that_a_shell_reads(tmp_path: Path) -> None:
    folder = tmp_path / "it's 5%"
    folder.mkdir()
    shutil.copy2(ROOT / "Makefile", folder)
    shown = run(["make", "-s", "schedule"], environ(tmp_path), cwd=folder).out.splitlines()
    lines = [line for line in shown if not line.startswith("#")]
    assert [line.split("  ", 1)[0] for line in lines] == ["15 4 * * *", "45 * * * *"]
    (tmp_path / ".offdag.env").write_text("export EXAMPLE=secret\n")
    for line, target in zip(lines, ("build-then-monitor", "monitor"), strict=True):
        # cron turns \% into %; echo replaces make.
        command = line.split("  ", 1)[1].replace("\\%", "%").replace(f"make {target}", 'echo "$PWD $EXAMPLE"')
        assert run(["sh", "-c", command], {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}, cwd=tmp_path).code == 0
        assert (folder / ".offdag" / f"{target}.log").read_text() == f"{folder} secret\n"


@pytest.mark.parametrize("name", ["gitlab-ci.yml", "airflow_dag.py", "offdag-build.service", "offdag-monitor.service"])
def test_examples_call_verbs_and_targets_that_exist(name: str, tmp_path: Path) -> None:
    import re

    text = (ROOT / "docs" / "examples" / name).read_text()
    verbs = set(re.findall(r"offdag (run|ci|monitor|notify|state|diff|report|collect)\b", text))
    assert verbs or "make" in text
    for verb in verbs:
        assert offdag(tmp_path, verb, "--help").code == 0
    targets = set(re.findall(r"/make ([a-z-]+)", text))
    assert targets <= set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    if name.endswith(".py"):
        compile(text, name, "exec")
    if name.endswith(".yml"):
        jobs = {k: v for k, v in yaml.safe_load(text).items() if k not in ("default", "variables")}
        assert all(isinstance(job["script"], list) for job in jobs.values())
