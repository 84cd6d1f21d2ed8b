"""A run of the monitor leaves out what the last one left, and nothing else."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from offdag.monitor.unchanged import Unchanged
from support.command import ROOT


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "monitor_project"
    shutil.copytree(ROOT / "monitor_project", folder, ignore=shutil.ignore_patterns("target", "logs"))
    (tmp_path / "monitor.duckdb").write_bytes(b"as the last run left it")
    return folder


def run(project: Path, **settings: str) -> Unchanged:
    home = project.parent
    return Unchanged.of(
        home / "unchanged.json", home / "monitor.duckdb", project, {"OFFDAG_HISTORY": "history", **settings}
    )


def test_only_a_run_like_the_last_one_leaves_anything_out(project: Path) -> None:
    assert run(project).excluded() == ()
    run(project).note()
    assert "resource_type:seed" in run(project).excluded()
    assert run(project, OFFDAG_SLACK_CHANNEL="#other").excluded() == ()
    assert run(project, OFFDAG_HISTORY="elsewhere").excluded() == ()


def _edit(path: str) -> Callable[[Path], object]:
    def edit(project: Path) -> None:
        with (project / path).open("a", encoding="utf-8") as file:
            file.write("\n")

    return edit


@pytest.mark.parametrize(
    "change",
    [
        _edit("seeds/alert_routes.csv"),
        _edit("models/staging/history/stg_history__nodes.sql"),
        _edit("macros/without_copies.sql"),
        _edit("dbt_project.yml"),
        lambda project: (project / "models" / "signals" / "signal_new.sql").write_text("select 1"),
        lambda project: (project / "seeds" / "alert_mutes.csv").unlink(),
        lambda project: (project.parent / "monitor.duckdb").unlink(),
        lambda project: (project.parent / "monitor.duckdb").write_bytes(b"written by something else"),
        lambda project: (project.parent / "unchanged.json").write_text("{"),
    ],
)
def test_any_change_makes_all_again(project: Path, change: Callable[[Path], object]) -> None:
    run(project).note()
    change(project)
    assert run(project).excluded() == ()
