"""Generated projects and their commands: random graphs, run by a small model of dbt's queue with threads, failures and skips.

The shapes are mixed: ephemeral models, unit tests, tests of several nodes, warnings, retries, commands that select little, days without
a build, outages of the warehouse, nodes that are removed, code that is edited, columns that are retyped, and freshness checks, some of
which fail.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sim import artifacts

_MICROSECOND = timedelta(microseconds=1)
_OUTAGE = "could not connect to server: Connection refused"
WARN_AFTER, ERROR_AFTER = timedelta(hours=1), timedelta(days=2)


@dataclass(frozen=True)
class Node:
    """A node of a generated project.

    Attributes:
        id: dbt's unique_id.
        parents: What it reads.
        is_ephemeral: It never runs.
        usual_seconds: How long it runs.
        last_day: Day from which on the project no longer has it; None if it stays.
    """

    id: str
    parents: tuple[str, ...]
    is_ephemeral: bool = False
    usual_seconds: float = 1.0
    last_day: int | None = None

    @property
    def type(self) -> str:
        return self.id.split(".", 1)[0]


@dataclass
class Ran:
    """One result of a command; without times where it was skipped."""

    status: str
    started_at: datetime | None = None
    completed_at: datetime | None = None
    rows_affected: int | None = None

    @property
    def is_failure(self) -> bool:
        return self.status in ("error", "fail")

    @property
    def seconds(self) -> float:
        assert self.started_at and self.completed_at
        return (self.completed_at - self.started_at).total_seconds()


@dataclass
class Build:
    """One build or its retry: results by node, and when it ended."""

    id: str
    day: int
    started_at: datetime
    ended_at: datetime
    retries: str | None = None
    is_outage: bool = False
    results: dict[str, Ran] = field(default_factory=dict)

    @property
    def has_failed(self) -> bool:
        return any(ran.is_failure for ran in self.results.values())


@dataclass(frozen=True)
class Check:
    """One freshness check of one source: its status, and its age where the query did not fail."""

    status: str
    age: timedelta | None


@dataclass(frozen=True)
class FreshnessRun:
    """One `dbt source freshness`."""

    id: str
    ended_at: datetime
    checks: dict[str, Check]


@dataclass(frozen=True)
class Description:
    """One `dbt docs generate`: types of columns, by node and column."""

    id: str
    day: int
    ended_at: datetime
    columns: dict[str, dict[str, str]]


@dataclass
class Project:
    """A generated project with its commands, the oldest first.

    Attributes:
        name: Its name.
        nodes: All that it ever has, but for sources.
        sources: Ids of its sources.
        edited_on: Days on which the code of a node is another one than before, by node.
        builds: Builds and retries.
        freshness: Freshness checks, one a day.
        descriptions: Catalogs, each other day.
        stock: Units in stock by product, by day of the count.
    """

    name: str
    nodes: dict[str, Node]
    sources: tuple[str, ...]
    edited_on: dict[str, tuple[int, ...]]
    builds: list[Build] = field(default_factory=list)
    freshness: list[FreshnessRun] = field(default_factory=list)
    descriptions: list[Description] = field(default_factory=list)
    stock: dict[int, dict[str, int]] = field(default_factory=dict)

    @property
    def exposures(self) -> dict[str, tuple[str, ...]]:
        """One that reads the first and the last of the models that stay, with its parents."""
        models = [n.id for n in self.nodes.values() if n.type == "model" and n.last_day is None]
        return {f"exposure.{self.name}.board": tuple(dict.fromkeys((models[0], models[-1])))} if models else {}

    def version(self, node_id: str, day: int) -> int:
        """Which of its codes a node has on a day."""
        return sum(edited <= day for edited in self.edited_on.get(node_id, ()))

    def nodes_on(self, day: int) -> dict[str, Node]:
        """The nodes that its manifest has on a day."""
        return {n.id: n for n in self.nodes.values() if n.last_day is None or day < n.last_day}

    def waits(self, day: int) -> dict[str, set[str]]:
        """What each node waits for in `dbt build`, by dbt's compiler: parents, tests whose nodes are all upstream, its unit tests."""
        nodes = self.nodes_on(day)
        below: dict[str, set[str]] = {}

        def upstream(node_id: str) -> set[str]:
            if node_id not in below:
                parents = nodes[node_id].parents
                below[node_id] = set(parents).union(*(upstream(p) for p in parents))
            return below[node_id]

        tests = [n for n in nodes.values() if n.type == "test"]
        units = [n for n in nodes.values() if n.type == "unit_test"]
        found = {}
        for node in nodes.values():
            if node.type == "unit_test":
                continue
            found[node.id] = set(node.parents)
            if node.type != "test":
                found[node.id] |= {t.id for t in tests if set(t.parents) <= upstream(node.id)}
        for unit in units:
            found[unit.id] = set(found[unit.parents[0]])
        for unit in units:
            found[unit.parents[0]].add(unit.id)
        return found

    def documents(self, build: Build) -> dict[str, dict[str, Any]]:
        """The artifacts of a build."""
        results = [_result(node_id, ran, build) for node_id, ran in build.results.items()]
        run_results = artifacts.run_results(
            results, build.ended_at, invocation_id=build.id, invocation_started_at=artifacts.instant(build.started_at)
        )
        if build.retries:
            run_results["args"] |= {"which": "retry", "invocation_command": "dbt retry"}
        return {"manifest": self._manifest(build.id, build.day, build.ended_at), "run_results": run_results}

    def freshness_documents(self, run: FreshnessRun) -> dict[str, dict[str, Any]]:
        """The artifacts of a freshness command."""
        results = []
        for source, check in run.checks.items():
            seconds = check.age.total_seconds() if check.age is not None else 0
            row = artifacts.freshness(source, check.status, seconds, run.ended_at)
            if check.age is None:
                row = {"unique_id": source, "status": check.status, "error": "no such table"}
            results.append(row)
        day = (run.ended_at - self.freshness[0].ended_at).days
        found = artifacts.sources(results, run.ended_at, invocation_id=run.id)
        return {"manifest": self._manifest(run.id, day, run.ended_at), "sources": found}

    def description_documents(self, description: Description) -> dict[str, dict[str, Any]]:
        """The artifacts of `dbt docs generate`, whose results say success for everything."""
        at, ran = description.ended_at, {"invocation_id": description.id}
        results = [artifacts.result(node, "success", at) for node in sorted(self.nodes_on(description.day))]
        return {
            "manifest": self._manifest(description.id, description.day, at),
            "run_results": artifacts.run_results(results, at, "generate", **ran),
            "catalog": artifacts.catalog(description.columns, at, **ran),
        }

    def _manifest(self, invocation_id: str, day: int, at: datetime) -> dict[str, Any]:
        listed = []
        units = {}
        for node in self.nodes_on(day).values():
            checksum = f"{node.id} version {self.version(node.id, day)}"
            more: dict[str, Any] = {"checksum": {"name": "sha256", "checksum": checksum}}
            if node.type in ("test", "unit_test"):
                more["attached_node"] = node.parents[0]
            if node.is_ephemeral:
                more["config"] = {"materialized": "ephemeral"}
            document = artifacts.node(node.id, node.parents, **more)
            if node.type == "unit_test":
                units[node.id] = document | {"model": node.parents[0].rsplit(".", 1)[-1]}
            else:
                listed.append(document)
        manifest = artifacts.manifest(listed, at, self.name, invocation_id=invocation_id)
        manifest["unit_tests"] = units
        rule = {"warn_after": {"count": 1, "period": "hour"}, "error_after": {"count": 2, "period": "day"}}
        for source in self.sources:
            _, package, _, name = source.split(".")
            identity = {"unique_id": source, "name": name, "resource_type": "source", "package_name": package}
            manifest["sources"][source] = {**identity, "freshness": rule, "loaded_at_field": "at"}
        for exposure, parents in self.exposures.items():
            owned = {"config": {"meta": {"owner": "@team"}}, "type": "dashboard"}
            manifest["exposures"][exposure] = artifacts.node(exposure, parents, **owned)
        return manifest


def project(seed: int, name: str, days: int, begin: datetime) -> Project:
    """A random project with a build on most days; the same seed gives the same one."""
    rng = random.Random(seed)
    sources = tuple(f"source.{name}.raw.s{number}" for number in range(rng.randint(0, 2)))
    nodes = _graph(rng, name, days)
    products = [f"product {number}" for number in range(rng.randint(1, 3))]
    edited = {n: tuple(sorted(rng.sample(range(1, days), rng.choice([0, 0, 0, 1, 2])))) for n in nodes}
    made = Project(name, nodes, sources, edited)
    for day in range(0, days, rng.choice([1, 2, 3])):
        made.stock[day] = {product: rng.choice([0, 0, 3, 10, 25, 40]) for product in products}
    for day in range(days):
        at = begin + timedelta(days=day)
        if sources:
            made.freshness.append(_checked(rng, made, day, at - timedelta(minutes=30)))
        if day % 2:
            made.descriptions.append(_described(rng, made, day, at - timedelta(minutes=60)))
        if day and rng.random() < 0.1:
            continue
        waits = made.waits(day)
        build = _run(rng, made, waits, Build(f"{name}-day{day:02}-0", day, at, at), frozenset(waits))
        made.builds.append(build)
        if build.has_failed and rng.random() < 0.5:
            made.builds.append(_retry(rng, made, waits, build))
    return made


def _graph(rng: random.Random, name: str, days: int) -> dict[str, Node]:
    models: list[str] = []
    nodes: list[Node] = []
    for number in range(rng.randint(3, 14)):
        parents = tuple(rng.sample(models, min(len(models), rng.choice([0, 1, 1, 2, 3]))))
        is_ephemeral = bool(parents) and rng.random() < 0.15
        nodes.append(Node(f"model.{name}.m{number}", parents, is_ephemeral, rng.choice([0.3, 2.0, 40.0])))
        models.append(nodes[-1].id)
    for number in range(rng.randint(1, 10)):
        tested = tuple(rng.sample(models, min(len(models), rng.choice([1, 1, 1, 2]))))
        last_day = rng.randint(1, days) if rng.random() < 0.15 else None
        nodes.append(Node(f"test.{name}.t{number}", tested, last_day=last_day))
    built = [n.id for n in nodes if n.type == "model" and not n.is_ephemeral]
    for number in range(rng.randint(0, 2)):
        nodes.append(Node(f"unit_test.{name}.u{number}", (rng.choice(built),)))
    return {node.id: node for node in nodes}


def _checked(rng: random.Random, made: Project, day: int, at: datetime) -> FreshnessRun:
    checks = {}
    for source in made.sources:
        status = rng.choice(["pass", "pass", "pass", "warn", "error", "runtime error", "not in the file"])
        seconds = {"pass": (10, 3500), "warn": (3700, 170_000), "error": (173_000, 900_000)}.get(status)
        age = timedelta(seconds=rng.randint(*seconds)) if seconds else None
        if status != "not in the file":
            checks[source] = Check(status, age)
    return FreshnessRun(f"{made.name}-day{day:02}-freshness", at, checks)


def _described(rng: random.Random, made: Project, day: int, at: datetime) -> Description:
    """Each model has columns a to c, or fewer, of one of two types; most stay as they were."""
    before = made.descriptions[-1].columns if made.descriptions else {}
    columns = {}
    for node in made.nodes_on(day).values():
        if node.type == "model" and not node.is_ephemeral:
            new = {c: rng.choice(["BIGINT", "VARCHAR"]) for c in "abc" if rng.random() < 0.8} or {"a": "BIGINT"}
            columns[node.id] = new if node.id not in before or rng.random() < 0.2 else before[node.id]
    return Description(f"{made.name}-day{day:02}-docs", day, at, columns)


def _retry(rng: random.Random, made: Project, waits: dict[str, set[str]], build: Build) -> Build:
    """`dbt retry`, ten minutes later: what failed, and what was skipped because of it."""
    at = build.ended_at + timedelta(minutes=10)
    again = frozenset(node for node, ran in build.results.items() if ran.is_failure or ran.status == "skipped")
    retry = Build(f"{made.name}-day{build.day:02}-1", build.day, at, at, retries=build.id)
    # Ephemeral models pass on what they wait for.
    chosen = again | {n.id for n in made.nodes_on(build.day).values() if n.is_ephemeral}
    return _run(rng, made, waits, retry, chosen)


def _run(rng: random.Random, made: Project, waits: dict[str, set[str]], build: Build, chosen: frozenset[str]) -> Build:
    """Nodes start, in the order in which they may, on the thread that is free first."""
    begin = build.started_at
    free = [begin] * rng.randint(1, 4)
    # When what waits for a node may start, and whether it may at all; ephemeral nodes pass on what they wait for.
    ready: dict[str, datetime] = {}
    broken: set[str] = set()
    build.is_outage = not build.retries and rng.random() < 0.06
    if not build.retries and rng.random() < 0.06:
        # A selector that matches far less than usual.
        chosen = frozenset(rng.sample(sorted(chosen), min(2, len(chosen))))
    waiting = sorted(chosen)
    while waiting:
        possible = [n for n in waiting if waits[n] & chosen <= ready.keys()]
        node_id = min(possible, key=lambda n: (max([begin, *(ready[w] for w in waits[n] & chosen)]), n))
        waiting.remove(node_id)
        may_start = max([begin, *(ready[w] for w in waits[node_id] & chosen)])
        if broken & waits[node_id]:
            broken.add(node_id)
            ready[node_id] = may_start
            if not made.nodes[node_id].is_ephemeral:
                build.results[node_id] = Ran("skipped")
            continue
        if made.nodes[node_id].is_ephemeral:
            ready[node_id] = may_start
            continue
        thread = min(range(len(free)), key=lambda i: free[i])
        # Ends are read from the clock a moment after the next start may be.
        started = max(may_start, free[thread]) + timedelta(microseconds=rng.randint(-900, 4000))
        started = max(started, begin)
        usual = made.nodes[node_id].usual_seconds * (20 if rng.random() < 0.04 else 1)
        completed = started + timedelta(microseconds=round(usual * rng.randint(700_000, 1_300_000)))
        status = _status(rng, made.nodes[node_id], build)
        rows = rng.randint(900, 1100) if made.nodes[node_id].type == "model" and status == "success" else None
        build.results[node_id] = Ran(status, started, completed, rows)
        if build.results[node_id].is_failure:
            broken.add(node_id)
        ready[node_id] = free[thread] = completed
    ends = [r.completed_at for r in build.results.values() if r.completed_at]
    build.ended_at = max([begin, *ends]) + _MICROSECOND
    return build


def _status(rng: random.Random, node: Node, build: Build) -> str:
    is_test = node.type in ("test", "unit_test")
    if build.is_outage:
        return "error"
    chance = rng.random()
    if chance < 0.08:
        return "fail" if is_test else "error"
    if node.type == "test" and chance < 0.12:
        return "warn"
    return "pass" if is_test else "success"


def _result(node_id: str, ran: Ran, build: Build) -> dict[str, Any]:
    # Each in its own words, so that many failures are no mass failure, unless the warehouse is away.
    why = _OUTAGE if build.is_outage else f"{node_id.replace('.', ' ')} broke"
    more: dict[str, Any] = {
        "message": f"Runtime Error in {node_id}\n  {why}" if ran.is_failure else "OK",
        "failures": {"fail": 3, "warn": 2, "pass": 0}.get(ran.status),
    }
    if ran.rows_affected is not None:
        more["adapter_response"] = {"rows_affected": ran.rows_affected, "query_id": f"query of {node_id}"}
    if ran.started_at and ran.completed_at:
        started, completed = artifacts.instant(ran.started_at), artifacts.instant(ran.completed_at)
        more["timing"] = [
            {"name": "compile", "started_at": started, "completed_at": started},
            {"name": "execute", "started_at": started, "completed_at": completed},
        ]
        more["execution_time"] = ran.seconds
    return artifacts.result(node_id, ran.status, build.ended_at, **more)
