"""Generated projects and their builds: random graphs, run by a small model of dbt's queue with threads, failures and skips."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from support import artifacts

_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True)
class Node:
    """A node of a generated project.

    Attributes:
        id: dbt's unique_id.
        parents: What it reads.
        is_ephemeral: It never runs.
    """

    id: str
    parents: tuple[str, ...]
    is_ephemeral: bool = False

    @property
    def type(self) -> str:
        return self.id.split(".", 1)[0]


@dataclass
class Ran:
    """One result of a build; without times where it was skipped."""

    status: str
    started_at: datetime | None = None
    completed_at: datetime | None = None


@dataclass
class Build:
    """One build: results by node, and when it ended."""

    ended_at: datetime
    results: dict[str, Ran] = field(default_factory=dict)


@dataclass
class Project:
    """A generated project with its builds, the oldest first."""

    name: str
    nodes: dict[str, Node]
    builds: list[Build] = field(default_factory=list)

    def waits(self) -> dict[str, set[str]]:
        """What each node waits for in `dbt build`, by dbt's compiler: parents, tests whose nodes are all upstream, its unit tests."""
        below: dict[str, set[str]] = {}

        def upstream(node_id: str) -> set[str]:
            if node_id not in below:
                parents = self.nodes[node_id].parents
                below[node_id] = set(parents).union(*(upstream(p) for p in parents))
            return below[node_id]

        tests = [n for n in self.nodes.values() if n.type == "test"]
        units = [n for n in self.nodes.values() if n.type == "unit_test"]
        found = {}
        for node in self.nodes.values():
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
        """The build's artifacts."""
        listed = []
        units = {}
        for node in self.nodes.values():
            more: dict[str, Any] = {}
            if node.type in ("test", "unit_test"):
                more["attached_node"] = node.parents[0]
            if node.is_ephemeral:
                more["config"] = {"materialized": "ephemeral"}
            document = artifacts.node(node.id, node.parents, **more)
            if node.type == "unit_test":
                units[node.id] = document | {"model": node.parents[0].rsplit(".", 1)[-1]}
            else:
                listed.append(document)
        manifest = artifacts.manifest(listed, build.ended_at, self.name)
        manifest["unit_tests"] = units
        results = [_result(node_id, ran, build.ended_at) for node_id, ran in build.results.items()]
        run_results = artifacts.run_results(results, build.ended_at)
        run_results["metadata"]["invocation_id"] = manifest["metadata"]["invocation_id"]
        return {"manifest": manifest, "run_results": run_results}


def project(seed: int, name: str, builds: int, begin: datetime) -> Project:
    """A random project with daily builds; the same seed gives the same one."""
    rng = random.Random(seed)
    made = Project(name, _graph(rng, name))
    waits = made.waits()
    for day in range(builds):
        made.builds.append(_run(rng, made, waits, begin + timedelta(days=day)))
    return made


def _graph(rng: random.Random, name: str) -> dict[str, Node]:
    models: list[str] = []
    nodes: list[Node] = []
    for number in range(rng.randint(3, 14)):
        parents = tuple(rng.sample(models, min(len(models), rng.choice([0, 1, 1, 2, 3]))))
        nodes.append(Node(f"model.{name}.m{number}", parents, bool(parents) and rng.random() < 0.15))
        models.append(nodes[-1].id)
    for number in range(rng.randint(1, 10)):
        tested = tuple(rng.sample(models, min(len(models), rng.choice([1, 1, 1, 2]))))
        nodes.append(Node(f"test.{name}.t{number}", tested))
    built = [n.id for n in nodes if n.type == "model" and not n.is_ephemeral]
    for number in range(rng.randint(0, 2)):
        nodes.append(Node(f"unit_test.{name}.u{number}", (rng.choice(built),)))
    return {node.id: node for node in nodes}


def _run(rng: random.Random, made: Project, waits: dict[str, set[str]], begin: datetime) -> Build:
    """Nodes start, in the order in which they may, on the thread that is free first."""
    free = [begin] * rng.randint(1, 4)
    # When what waits for a node may start, and whether it may at all; ephemeral nodes pass on what they wait for.
    ready: dict[str, datetime] = {}
    broken: set[str] = set()
    build = Build(begin)
    waiting = sorted(made.nodes)
    while waiting:
        possible = [n for n in waiting if waits[n] <= ready.keys()]
        node_id = min(possible, key=lambda n: (max([begin, *(ready[w] for w in waits[n])]), n))
        waiting.remove(node_id)
        may_start = max([begin, *(ready[w] for w in waits[node_id])])
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
        completed = started + timedelta(microseconds=rng.randint(200_000, 90_000_000))
        fails = rng.random() < 0.08
        is_test = made.nodes[node_id].type in ("test", "unit_test")
        build.results[node_id] = Ran(
            ("fail" if is_test else "error") if fails else ("pass" if is_test else "success"), started, completed
        )
        if fails:
            broken.add(node_id)
        ready[node_id] = free[thread] = completed
    build.ended_at = max([begin, *(r.completed_at for r in build.results.values() if r.completed_at)]) + _MICROSECOND
    return build


def _result(node_id: str, ran: Ran, at: datetime) -> dict[str, Any]:
    failed = ran.status in ("error", "fail")
    more: dict[str, Any] = {
        # Each in its own words, so that many failures are no mass failure.
        "message": f"Runtime Error in {node_id}\n  {node_id.replace('.', ' ')} broke" if failed else "OK",
        "failures": {"fail": 3, "pass": 0}.get(ran.status),
    }
    if ran.started_at and ran.completed_at:
        started, completed = artifacts.instant(ran.started_at), artifacts.instant(ran.completed_at)
        more["timing"] = [
            {"name": "compile", "started_at": started, "completed_at": started},
            {"name": "execute", "started_at": started, "completed_at": completed},
        ]
        more["execution_time"] = (ran.completed_at - ran.started_at).total_seconds()
    return artifacts.result(node_id, ran.status, at, **more)
