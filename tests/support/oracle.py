"""What the monitor should find in generated builds, in plain Python, from the same facts and without its SQL."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from support.generated import Build, Project

# Starts and ends are read from the clock at different moments.
_RESOLUTION = timedelta(milliseconds=10)
_SKIPPABLE = ("model", "snapshot", "seed")


class Timed(NamedTuple):
    """Place of one node in the critical path of its build; seconds."""

    wait: float | None
    slack: float
    is_critical: bool


def critical_path(project: Project, build: Build) -> dict[str, Timed]:
    """Wait, slack and critical path of each node that ran, by looking at every node that it waits for."""
    waits = project.waits()
    times = {n: (r.started_at, r.completed_at) for n, r in build.results.items() if r.started_at and r.completed_at}

    def ran_before(node_id: str) -> set[str]:
        found: set[str] = set()
        seen: set[str] = set()
        waiting = list(waits[node_id])
        while waiting:
            other = waiting.pop()
            if other in seen:
                continue
            seen.add(other)
            if other in times:
                found.add(other)
            else:
                waiting += waits[other]
        return {o for o in found if times[o][1] <= times[node_id][0] + _RESOLUTION}

    before = {n: ran_before(n) for n in times}
    latest = {n: max(others, key=lambda o: times[o][1]) for n, others in before.items() if others}
    end = max((completed for _, completed in times.values()), default=None)
    critical = set()
    current = next((n for n, (_, completed) in times.items() if completed == end), None)
    while current:
        critical.add(current)
        current = latest.get(current)
    found = {}
    for node_id, (started, completed) in times.items():
        after = [times[n][0] for n, others in before.items() if node_id in others]
        found[node_id] = Timed(
            _seconds(started - times[latest[node_id]][1]) if node_id in latest else None,
            _seconds((min(after) if after else end or completed) - completed),
            node_id in critical,
        )
    return found


def impact(project: Project, build: Build) -> dict[str, tuple[int, int]]:
    """Models downstream of each failed node, and how many of them were skipped."""
    found = {}
    for node_id, ran in build.results.items():
        if ran.status not in ("error", "fail"):
            continue
        node = project.nodes[node_id]
        start = node.parents[0] if node.type in ("test", "unit_test") else node_id
        below = _downstream(project, start) | ({start} if node.type == "unit_test" else set())
        models = [n for n in below if project.nodes[n].type in _SKIPPABLE]
        skipped = [n for n in models if n in build.results and build.results[n].status == "skipped"]
        found[node_id] = (len(models), len(skipped))
    return found


class Episode(NamedTuple):
    """An incident of one node."""

    node_id: str
    started_at: datetime
    bad_count: int
    ended_at: datetime | None


def incidents(project: Project) -> set[Episode]:
    """Consecutive failures of each node; a success ends them, a skip says nothing."""
    found = set()
    for node_id in project.nodes:
        begun: datetime | None = None
        count = 0
        for build in project.builds:
            ran = build.results.get(node_id)
            if ran is None or ran.completed_at is None:
                continue
            if ran.status in ("error", "fail"):
                begun, count = begun or ran.completed_at, count + 1
            elif begun:
                found.add(Episode(node_id, begun, count, ran.completed_at))
                begun, count = None, 0
        if begun:
            found.add(Episode(node_id, begun, count, None))
    return found


def health(project: Project) -> dict[Any, tuple[int, int]]:
    """Builds and successful builds by day."""
    found: dict[Any, tuple[int, int]] = {}
    for build in project.builds:
        builds, good = found.get(build.ended_at.date(), (0, 0))
        is_good = not any(r.status in ("error", "fail") for r in build.results.values())
        found[build.ended_at.date()] = (builds + 1, good + is_good)
    return found


def _downstream(project: Project, start: str) -> set[str]:
    found: set[str] = set()
    waiting = [start]
    while waiting:
        current = waiting.pop()
        children = [n.id for n in project.nodes.values() if current in n.parents and n.id not in found]
        found.update(children)
        waiting += children
    return found


def _seconds(span: timedelta) -> float:
    return max(span.total_seconds(), 0.0)
