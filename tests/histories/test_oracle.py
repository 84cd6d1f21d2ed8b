"""Generated builds through the collector and the monitor's SQL, against an oracle that shares nothing with it but the artifacts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from offdag.collect.collection import collect
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from support import artifacts, generated, histories, oracle
from support.command import offdag

BEGIN = datetime(2026, 1, 2, 6)
# `make sim` compares a thousand builds.
PROJECTS, BUILDS = int(os.environ.get("OFFDAG_TEST_PROJECTS", "16")), 5


class Monitored:
    """The generated projects and the monitor's database."""

    def __init__(self, home: Path) -> None:
        self.database = home / "monitor.duckdb"
        self.projects = [generated.project(seed, f"p{seed}", BUILDS, BEGIN) for seed in range(PROJECTS)]
        history = histories.open_history(home)
        for project in self.projects:
            for number, build in enumerate(project.builds):
                folder = home / "artifacts" / project.name / str(number)
                artifacts.write(folder, **project.documents(build))
        collect(history, find_artifacts([str(home / "artifacts")], True), Context(environment="prod"))
        ended = offdag(home, "monitor", "--as-of", (BEGIN + timedelta(days=BUILDS)).isoformat())
        assert ended.code == 0, ended

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.database), read_only=True) as connection:
            return connection.execute(query).fetchall()


@pytest.fixture(scope="module")
def monitored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Monitored]:
    yield Monitored(tmp_path_factory.mktemp("oracle"))


def test_the_critical_path_is_the_longest_chain_of_what_waited(monitored: Monitored) -> None:
    found = {
        (project, ended_at, node_id): (wait, slack, is_critical)
        for project, ended_at, node_id, wait, slack, is_critical in monitored.rows(
            """
            select path.project, runs.ended_at, node_id, wait_seconds, slack_seconds, is_critical
            from fct_run_critical_path as path
            inner join fct_invocations as runs using (project, environment, invocation_id)
            """
        )
    }
    expected = {
        (project.name, build.ended_at, node_id): timed
        for project in monitored.projects
        for build in project.builds
        for node_id, timed in oracle.critical_path(project, build).items()
    }
    assert found.keys() == expected.keys()
    for key, timed in expected.items():
        assert found[key] == pytest.approx(timed, abs=2e-6), key


def test_each_failure_affects_what_is_downstream(monitored: Monitored) -> None:
    found = {
        (project, ended_at, node_id): (downstream, skipped)
        for project, ended_at, node_id, downstream, skipped in monitored.rows(
            """
            select impact.project, runs.ended_at, node_id, downstream_model_count, skipped_model_count
            from fct_failure_impact as impact
            inner join fct_invocations as runs using (project, environment, invocation_id)
            """
        )
    }
    assert found == {
        (project.name, build.ended_at, node_id): counts
        for project in monitored.projects
        for build in project.builds
        for node_id, counts in oracle.impact(project, build).items()
    }
    assert found


def test_incidents_are_the_failures_that_follow_each_other(monitored: Monitored) -> None:
    found = set(
        monitored.rows(
            """
            select project, node_id, started_at, bad_count, ended_at
            from fct_incidents
            where kind in ('node_failed', 'test_failed')
            """
        )
    )
    assert found == {(p.name, *episode) for p in monitored.projects for episode in oracle.incidents(p)}
    assert {ended for *_, ended in found} > {None}


def test_builds_are_counted_by_day(monitored: Monitored) -> None:
    found = {
        (project, day): (builds, good)
        for project, day, builds, good in monitored.rows(
            "select project, build_date, build_count, success_count from fct_build_health_daily"
        )
    }
    assert found == {(p.name, day): counts for p in monitored.projects for day, counts in oracle.health(p).items()}
