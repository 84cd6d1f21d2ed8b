"""Pull requests on projects in other people's styles, replayed with real git and dbt: tests/fixtures/reviews."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb
import yaml

from bench.causes.faults import Edit, edit
from support.command import ROOT, CommandResult, environ, offdag, run

FOLDER = ROOT / "tests" / "fixtures" / "reviews"
SETUPS: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "projects.yml").read_text())
# What dbt, DuckDB and offdag make.
_IGNORED = "target/\nlogs/\ndbt_packages/\n*.duckdb\npackage-lock.yml\n.user.yml\n"


@dataclass(frozen=True)
class PullRequest:
    """One entry of pull_requests.yml, which explains the fields."""

    name: str
    project: str
    about: str
    edits: list[Edit] = field(default_factory=list)
    base: list[Edit] = field(default_factory=list)
    main: list[Edit] = field(default_factory=list)
    newer: list[Edit] = field(default_factory=list)
    arrive: dict[str, Any] = field(default_factory=dict)
    args: list[str] = field(default_factory=list)

    def replayed(self, production: Path, home: Path) -> CommandResult:
        """The review in a copy of production's home."""
        shutil.copytree(production, home)
        project = home / self.project
        if self.base:
            _apply(project, self.base)
            _build(home, project)
        if self.main:
            _apply(project, self.main)
            _git(project, "commit", "-qam", "main")
        _apply(project, self.arrive.get("edits", []))
        if "sql" in self.arrive:
            _load(project, self.arrive["sql"])
        _git(project, "add", "-A")
        _git(project, "commit", "-qm", "arrived", "--allow-empty")
        fork = "main"
        if self.newer:
            _apply(project, self.newer)
            _git(project, "commit", "-qam", "newer")
            _build(home, project)
            fork = "main~1"
        _git(project, "checkout", "-qb", "change", fork)
        _apply(project, self.edits)
        return review(home, project, *self.args)


PULL_REQUESTS = [PullRequest(**entry) for entry in yaml.safe_load((FOLDER / "pull_requests.yml").read_text())]


def review(home: Path, project: Path, *arguments: str) -> CommandResult:
    """`offdag ci`, as its users call it."""
    flags = ["--project-dir", str(project), "--out", str(home / "out"), "--base", "main"]
    return offdag(home, "ci", *flags, *arguments, env=_VARIABLES)


def make_production(home: Path, name: str) -> Path:
    """A home with a project built for production twice: a snapshot then has a past, and an incremental model rows of an earlier day."""
    project, setup = home / name, SETUPS[name]
    shutil.copytree(FOLDER / name, project)
    (project / ".gitignore").write_text(_IGNORED)
    if "load" in setup:
        _load(project, (project / setup["load"]).read_text())
    _git(project, "init", "-qb", "main")
    first = setup.get("first_day", [])
    for edits in ([first, [{**e, "old": e["new"], "new": e["old"]} for e in first]]) if first else [[]]:
        _apply(project, edits)
        _git(project, "add", "-A")
        _git(project, "commit", "-qm", "production")
        _build(home, project)
    return home


def key_of(project: str, model: str) -> Sequence[str]:
    """The columns that really identify a row."""
    found: Sequence[str] = SETUPS[project]["keys"].get(model, ())
    return found


# Artifacts and logs stay in the project.
_VARIABLES = {"DBT_TARGET_PATH": "target", "DBT_LOG_PATH": "logs"}


def _build(home: Path, project: Path) -> None:
    words = ["run", "-e", "prod", "--project-dir", str(project), "--", "dbt", "-q", "build", "--target", "prod"]
    built = offdag(home, *words, env=_VARIABLES)
    assert built.code == 0, built


def _git(project: Path, *words: str) -> None:
    done = run(["git", "-c", "user.name=t", "-c", "user.email=t@example.com", *words], environ(project), cwd=project)
    assert done.code == 0, done


def _load(project: Path, sql: str) -> None:
    # Python 3.10 has no contextlib.chdir.
    before = Path.cwd()
    os.chdir(project)
    try:
        with duckdb.connect("landing.duckdb") as connection:
            connection.execute(sql)
    finally:
        os.chdir(before)


def _apply(project: Path, edits: Sequence[Edit]) -> None:
    for change in edits:
        edit(project, change)
