"""Every version of dbt, in every way of running it: what the monitor reports is what happened, by the simulator's own account."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from bench.table import put_table
from offdag.collect.collection import collect
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from offdag.history.history import History
from sim import artifacts, truth
from sim.shapes import VERSIONS, Version, write_own_files, written_by
from sim.team import Habits
from sim.truth import Episode
from sim.year import BEGIN, Command, Year, simulated_year
from support.command import ROOT, config_folder, offdag

pytestmark = [pytest.mark.slow, pytest.mark.golden]

PAGE = ROOT / "docs" / "versions.md"
DAYS, FAULTS = 10, 25.0
AS_OF = BEGIN + timedelta(days=DAYS)
KINDS = (*truth.EXACT, "run_missing")


@dataclass(frozen=True)
class Way:
    """A way of running dbt.

    Attributes:
        habits: Of a team that works that way.
        first: The first version that can.
    """

    habits: Habits
    first: tuple[int, ...]


BUILD = Habits("build", True, 1.0, 0.0, 0, retries=False, upgrade_day=None, has_parts=False, has_developers=False)
WAYS = {
    "`dbt build`": Way(BUILD, (0, 21)),
    "`dbt run`, then `dbt test`": Way(replace(BUILD, style="commands"), (0, 19)),
    "a command for each model (Cosmos)": Way(replace(BUILD, style="models"), (0, 21)),
    "`dbt retry` after a failure": Way(replace(BUILD, retries=True), (1, 6)),
    "several threads": Way(replace(BUILD, threads=4), (0, 21)),
    "stopped by a signal": Way(replace(BUILD, interrupted=frozenset({3, 7})), (0, 21)),
    "microbatch models": Way(replace(BUILD, has_batches=True), (1, 9)),
    "dbt State (`reused`)": Way(replace(BUILD, style="reused"), (1, 12)),
    "`on_error: continue`": Way(replace(BUILD, continues=True), (1, 12)),
}


def name_of(version: Version, way: str) -> str:
    return f"dbt {version.name} {sorted(WAYS).index(way)}"


def collect_command(home: Path, history: History, project: str, version: Version, command: Command) -> None:
    given = {"project": project, "environment": "prod"}
    if command.job_run:
        row = {**command.job_run, "job_run_id": f"{project} {command.id}"}
        row["invocation_id"] = f"{project} {command.id}" if command.documents else None
        history.put("job_runs", command.ended_at.date(), f"{project} {command.id}", [row], given)
    if command.documents:
        documents = written_by(version, command.documents)
        for document in documents.values():
            document["metadata"]["invocation_id"] = f"{project} {command.id}"
        folder = artifacts.write(home / "targets" / project / command.id, **documents)
        write_own_files(version, folder, command.id)
        context = Context(project, "prod", was_interrupted=bool(command.job_run), is_project_given=True)
        collected = collect(history, find_artifacts([str(folder)], recursive=version.is_fusion), context)
        assert not collected.refused, collected.refused
        # Files that are no artifacts are left alone, also below the target folder.
        assert collected.counts.total() == len(documents), collected.counts


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Year], dict[str, set[Episode]]]:
    """What happened in each version and way, and the incidents of one monitor over all of them."""
    home = tmp_path_factory.mktemp("every_dbt")
    history = History(str(home / "history"))
    lives: dict[str, Year] = {}
    for way, chosen in WAYS.items():
        for version in VERSIONS:
            if version.number >= chosen.first:
                project = name_of(version, way)
                lives[project] = simulated_year(random.Random(project), DAYS, FAULTS, habits=chosen.habits)
                for command in lives[project].commands:
                    collect_command(home, history, project, version, command)
    cadences = "".join(year.habits.cadence(project) for project, year in lives.items())
    config = config_folder(home, run_cadences=cadences)
    ended = offdag(home, "monitor", "--as-of", AS_OF.isoformat(), "--config-dir", str(config))
    assert ended.code == 0, ended
    found: dict[str, set[Episode]] = {project: set() for project in lives}
    with duckdb.connect(str(home / "monitor.duckdb"), read_only=True) as connection:
        query = "select project, kind, node_id, started_at, last_bad_at from fct_incidents"
        for project, *incident in connection.execute(query).fetchall():
            if project in found and incident[0] in KINDS:
                found[project].add(Episode(*incident))
    return lives, found


@pytest.mark.parametrize("way", WAYS)
def test_incidents_are_those_that_happened(way: str, years: tuple[dict[str, Year], dict[str, set[Episode]]]) -> None:
    lives, found = years
    for version in VERSIONS:
        if version.number >= WAYS[way].first:
            project = name_of(version, way)
            expected = truth.episodes(lives[project], AS_OF)
            assert len(expected) >= 3
            assert truth.unlike(found[project], expected) == ([], []), version.name


def test_the_table_of_the_docs(years: tuple[dict[str, Year], dict[str, set[Episode]]]) -> None:
    _, found = years
    lines = [f"| dbt | {' | '.join(WAYS)} |", f"| --- |{' --- |' * len(WAYS)}"]
    for version in VERSIONS:
        cells = [
            f"{len(found[name_of(version, way)])}" if version.number >= chosen.first else ""
            for way, chosen in WAYS.items()
        ]
        lines.append(f"| {version.name} | {' | '.join(cells)} |")
    table = "\n".join(lines) + "\n"
    if os.environ.get("OFFDAG_WRITE_GOLDEN") == "1":
        put_table(table, PAGE)
    assert table in PAGE.read_text(encoding="utf-8"), "run make golden"
