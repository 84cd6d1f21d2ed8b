"""A data team: its dbt project, and its habits, which are odd but no faults."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sim import artifacts

PROJECT = "shop"
SOURCES = tuple(f"source.{PROJECT}.raw.s{number}" for number in range(3))
WARN_AFTER, ERROR_AFTER = timedelta(hours=26), timedelta(hours=50)
CONTRACTED = f"model.{PROJECT}.mart_0"
# one build; dbt run and dbt test; a build for each model, as Cosmos runs them; a build that dbt State takes over in part.
STYLES = ("build", "commands", "models", "reused")


@dataclass(frozen=True)
class Habits:
    """How a team runs dbt.

    Attributes:
        style: One of ``STYLES``.
        works_weekends: Whether it builds on Saturdays and Sundays.
        weekend_volume: Rows of a load on a weekend, against one on another day.
        daily_growth: Of volumes and durations, as a share.
        full_refresh_days: Every how many days incremental models are rebuilt (`--full-refresh`); 0 for never.
        retries: Whether a failed build is retried after a quarter of an hour.
        upgrade_day: Day of the year from which on its dbt is a newer one; None for never.
        has_parts: Whether some models are also built at noon.
        has_developers: Whether there are builds of the environment dev, most of which fail.
        holidays: Days of the year without a build, which its cadence does not know of.
        continues: Whether dbt builds what is downstream of a failure (`on_error: continue`).
        has_batches: Whether models that report rows are microbatch models.
        threads: How many nodes run at a time; with several, results are in the order in which they end.
        interrupted: Days of the year on which a signal stops the build halfway.
    """

    style: str
    works_weekends: bool
    weekend_volume: float
    daily_growth: float
    full_refresh_days: int
    retries: bool
    upgrade_day: int | None
    has_parts: bool
    has_developers: bool
    holidays: frozenset[int] = frozenset()
    continues: bool = False
    has_batches: bool = False
    threads: int = 1
    interrupted: frozenset[int] = frozenset()

    @classmethod
    def drawn(cls, rng: random.Random, days: int) -> Habits:
        """A team's habits."""
        return cls(
            style=rng.choice(STYLES),
            works_weekends=rng.random() < 0.6,
            weekend_volume=rng.choice([1.0, 1.0, 0.3, 2.5]),
            daily_growth=rng.choice([0.0, 0.001, 0.004]),
            full_refresh_days=rng.choice([0, 7, 30]),
            retries=rng.random() < 0.5,
            upgrade_day=rng.choice([None, rng.randrange(days)]),
            has_parts=rng.random() < 0.3,
            has_developers=rng.random() < 0.3,
            holidays=frozenset(rng.sample(range(days), rng.choice([0, days // 60]))),
        )

    def builds_on(self, day: date) -> bool:
        """Whether the nightly build is scheduled."""
        return self.works_weekends or day.weekday() < 5

    def cadence(self, project: str) -> str:
        """The line of run_cadences.csv."""
        command = {"commands": "run", "models": ""}.get(self.style, "build")
        days = "" if self.works_weekends else "mon tue wed thu fri"
        return f"{project},prod,{command},,24,2,{days},,,,\n"


@dataclass(frozen=True)
class Node:
    """A node of the team's project.

    Attributes:
        id: dbt's unique_id.
        parents: What it reads.
        seconds: How long it usually runs.
        rows: How many rows it usually affects; None where the adapter does not report them.
        noise: How far seconds and rows scatter: the standard deviation of their logarithm.
        days: First day on which the project has it, and the first on which it no longer has.
    """

    id: str
    parents: tuple[str, ...]
    seconds: float
    rows: int | None = None
    noise: float = 0.1
    days: tuple[int, int] = (0, 100_000)

    @property
    def is_test(self) -> bool:
        return self.id.startswith("test.")


def nodes(rng: random.Random, days: int, size: int = 1) -> dict[str, Node]:
    """Six staging models, some between, three marts, and their tests, each after its parents; ``size`` times as many."""
    found: list[Node] = []
    layers: list[list[str]] = [list(SOURCES)]
    for layer, count in (("stg", 6), ("int", rng.randint(1, 4)), ("mart", 3)):
        ids = [f"model.{PROJECT}.{layer}_{number}" for number in range(count * size)]
        for number, unique_id in enumerate(ids):
            parents = [layers[-1][number % len(layers[-1])], *rng.sample(layers[-1], 1)]
            lives = (0, 100_000)
            if layer == "mart" and number == 2:
                # A model that is added, and one day removed.
                lives = (rng.randint(1, days // 2), rng.randint(days // 2, days))
            rows = rng.choice([None, 40, 5_000, 100_000])
            seconds = rng.choice([2.0, 30.0, 300.0])
            noise = rng.choice([0.05, 0.1, 0.2, 0.3])
            found.append(Node(unique_id, tuple(dict.fromkeys(parents)), seconds, rows, noise, lives))
        layers.append(ids)
    tested = [node for node in found for _ in range(rng.choice([1, 1, 2]))]
    for number, node in enumerate(tested):
        found.append(Node(f"test.{PROJECT}.test_{number}", (node.id,), 1.0, days=node.days))
    return {node.id: node for node in found}


def manifest(
    present: list[Node], edits: dict[str, int], columns: dict[str, str], at: datetime, invocation_id: str
) -> dict[str, Any]:
    """The manifest of a command.

    Args:
        present: Nodes of the project on that day.
        edits: How often the code of a node was edited, by node.
        columns: Columns and types of the model with a contract.
        at: When it was written.
        invocation_id: The command.
    """
    listed = []
    for node in present:
        checksum = {"name": "sha256", "checksum": f"{node.id} {edits.get(node.id, 0)}"}
        more: dict[str, Any] = {"checksum": checksum}
        if node.is_test:
            more["attached_node"] = node.parents[0]
        elif node.id == CONTRACTED:
            more["config"] = {"materialized": "table", "contract": {"enforced": True}, "meta": {"owner": "@team"}}
            more["columns"] = {name: {"name": name, "data_type": kind} for name, kind in columns.items()}
        elif node.rows:
            more["config"] = {"materialized": "incremental", "meta": {"owner": "@team"}}
        listed.append(artifacts.node(node.id, node.parents, **more))
    document = artifacts.manifest(listed, at, PROJECT, invocation_id=invocation_id)
    rule = {"warn_after": {"count": 26, "period": "hour"}, "error_after": {"count": 50, "period": "hour"}}
    for source in SOURCES:
        name = source.rsplit(".", 1)[-1]
        identity = {"unique_id": source, "name": name, "resource_type": "source", "package_name": PROJECT}
        document["sources"][source] = {**identity, "freshness": rule, "loaded_at_field": "at"}
    return document
