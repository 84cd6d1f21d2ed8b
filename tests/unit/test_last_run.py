"""What the last run left counts only where nothing but the history has changed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from offdag.monitor.last_run import Inputs, LastRun
from support.command import ROOT

CONTENTS = {"model.monitor.fct_incidents": "3-77"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "monitor_project"
    shutil.copytree(ROOT / "monitor_project", folder, ignore=shutil.ignore_patterns("target", "logs"))
    (tmp_path / "monitor.duckdb").write_bytes(b"as the last run left it")
    last_run(folder).write(inputs(folder), CONTENTS)
    return folder


def last_run(project: Path) -> LastRun:
    return LastRun(project.parent / "last_run.json", project.parent / "monitor.duckdb")


def inputs(project: Path, **settings: str) -> Inputs:
    return Inputs.of(project, {"OFFDAG_HISTORY": "history", **settings})


def test_the_same_inputs_find_what_was_left(project: Path) -> None:
    assert last_run(project).contents(inputs(project)) == CONTENTS
    assert last_run(project).has_rules(inputs(project))


def test_a_copy_of_the_database_is_the_same_one(project: Path) -> None:
    database = project.parent / "monitor.duckdb"
    copy = shutil.copyfile(database, project.parent / "copy.duckdb")
    database.unlink()
    copy.rename(database)
    assert last_run(project).contents(inputs(project)) == CONTENTS


@pytest.mark.parametrize("settings", [{"OFFDAG_SLACK_CHANNEL": "#other"}, {"OFFDAG_HISTORY": "elsewhere"}])
def test_other_settings_do_not_and_the_rules_stay(project: Path, settings: dict[str, str]) -> None:
    assert last_run(project).contents(inputs(project, **settings)) is None
    assert last_run(project).has_rules(inputs(project, **settings))


def _edit(path: str) -> Callable[[Path], object]:
    def edit(project: Path) -> None:
        with (project / path).open("a", encoding="utf-8") as file:
            file.write("\n")

    return edit


@pytest.mark.parametrize(
    ("change", "has_rules"),
    [
        (_edit("seeds/alert_routes.csv"), True),
        (lambda project: (project / "seeds" / "alert_mutes.csv").unlink(), True),
        (_edit("models/staging/history/stg_history__nodes.sql"), False),
        (_edit("macros/without_copies.sql"), False),
        (_edit("tests/assert_results_reconcile.sql"), False),
        (_edit("dbt_project.yml"), False),
        (lambda project: (project / "models" / "signals" / "signal_new.sql").write_text("select 1"), False),
        (lambda project: (project.parent / "monitor.duckdb").unlink(), False),
        (lambda project: (project.parent / "monitor.duckdb").write_bytes(b"written by something else"), True),
        # A run that was killed.
        (lambda project: (project.parent / "monitor.duckdb.wal").write_bytes(b"committed"), True),
        (lambda project: (project.parent / "last_run.json").write_text("{"), False),
        (lambda project: (project.parent / "last_run.json").unlink(), False),
    ],
)
def test_any_change_forgets_it(project: Path, change: Callable[[Path], object], has_rules: bool) -> None:
    change(project)
    assert last_run(project).contents(inputs(project)) is None
    assert last_run(project).has_rules(inputs(project)) is has_rules
