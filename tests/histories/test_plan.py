"""A run of the plan gives the rows of a run of dbt, whatever happened to the history in between."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from offdag.history.compaction import compact
from offdag.history.retention import prune
from offdag.monitor.plan import Plan
from support import histories
from support.command import CommandResult, offdag

pytestmark = [pytest.mark.slow, pytest.mark.golden]


class Both:
    """One history with two databases: one is kept up to date by plans, one by dbt."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.rest: list[histories.Play] = []
        self.config = histories.config(home)
        self.history = histories.open_history(home)

    def monitor(self, way: str, as_of: datetime = histories.AS_OF) -> CommandResult:
        database = self.home / way / "monitor.duckdb"
        where = ["--config-dir", str(self.config), "--monitor-database", str(database)]
        return offdag(self.home, "monitor", *where, "--as-of", as_of.isoformat(), *(["--dbt"] if way == "dbt" else []))

    def compare(self, as_of: datetime = histories.AS_OF) -> None:
        """Run both, and compare every relation."""
        log = self.home / "plan" / "monitor_target" / "logs" / "dbt.log"
        before = log.stat().st_mtime_ns
        # Both see the same earlier runs of the monitor.
        runs, kept = self.home / "history" / "tables" / "monitor_runs", self.home / "kept_runs"
        shutil.copytree(runs, kept, dirs_exist_ok=True)
        for way in ("plan", "dbt"):
            shutil.rmtree(runs)
            shutil.copytree(kept, runs)
            ended = self.monitor(way, as_of)
            assert ended.code == 0, ended
        assert log.stat().st_mtime_ns == before, "dbt ran where the plan should have"
        assert_equal(self.home / "plan" / "monitor.duckdb", self.home / "dbt" / "monitor.duckdb")


def relations(database: Path) -> dict[str, tuple[Any, list[tuple[Any, ...]]]]:
    """Columns with their types, and rows, of each table and view."""
    with duckdb.connect(str(database), read_only=True) as connection:
        names = [
            name
            for (name,) in connection.execute("select table_name from information_schema.tables").fetchall()
            # What the runs themselves write.
            if name != "stg_history__monitor_runs"
        ]
        return {
            name: (
                connection.execute(f'describe "{name}"').fetchall(),
                connection.execute(f'select * from "{name}" order by all').fetchall(),
            )
            for name in names
        }


def assert_equal(one: Path, other: Path) -> None:
    found, expected = relations(one), relations(other)
    assert found.keys() == expected.keys()
    assert [name for name in found if _rows(found[name]) != _rows(expected[name])] == []


def _rows(relation: tuple[Any, list[tuple[Any, ...]]]) -> Any:
    # dbt's tables have the constraints of their contracts.
    columns, rows = relation
    return [(name, kind) for name, kind, *_ in columns], rows


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    """A part of all stories has arrived, in any order, and both databases are built from it by dbt."""
    found = Both(tmp_path_factory.mktemp("both"))
    plays = list(histories.plays())
    random.Random(5).shuffle(plays)
    for play in plays[: len(plays) // 2]:
        play.collect(found.history, found.home / "artifacts")
    for way in ("plan", "dbt"):
        built = found.monitor(way)
        assert built.code == 0, built
    found.rest = plays[len(plays) // 2 :]
    yield found


def _nothing(both: Both) -> None:
    pass


def _late_and_compacted(both: Both) -> None:
    for play in both.rest:
        play.collect(both.history, both.home / "artifacts")
    compact(both.history, histories.AS_OF + timedelta(days=2))


def _pruned(both: Both) -> None:
    first = min(both.history.dates("node_results"))
    prune(both.history, first + timedelta(days=60))


@pytest.mark.parametrize(
    ("change", "later"),
    [(_nothing, 30), (_late_and_compacted, 0), (_pruned, 0), (_nothing, -20)],
)
def test_both_ways_give_equal_relations(both: Both, change: Callable[[Both], None], later: int) -> None:
    change(both)
    both.compare(histories.AS_OF + timedelta(days=later))


def test_and_so_does_a_database_built_from_nothing(both: Both) -> None:
    both.compare()
    database = both.home / "nothing" / "monitor.duckdb"
    where = ["--config-dir", str(both.config), "--monitor-database", str(database)]
    built = offdag(both.home, "monitor", *where, "--as-of", histories.AS_OF.isoformat())
    assert built.code == 0, built
    assert_equal(both.home / "plan" / "monitor.duckdb", database)


def test_no_model_compares_every_pair_of_rows(both: Both) -> None:
    """DuckDB does so for a join by a condition that mixes columns of both sides: with a large history that takes minutes."""
    plan = Plan.read(both.home / "plan" / "monitor_target" / "plan.json")
    assert plan
    with duckdb.connect(str(both.home / "plan" / "monitor.duckdb")) as connection:
        pairs = set()
        for step in plan.steps:
            if step.sql and step.kind != "test":
                for statement in step.before:
                    connection.execute(statement)
                explained = str(connection.execute(f"explain {step.sql}").fetchall())
                if "BLOCKWISE_NL_JOIN" in explained:
                    pairs.add(step.unique_id.rpartition(".")[2])
    # Routes, mutes and cadences are few.
    assert pairs <= {"dim_node_routes", "fct_incident_routes", "fct_incident_context", "int_run_expectations"}
