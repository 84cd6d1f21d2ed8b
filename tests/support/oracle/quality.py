"""Tests and models over time: results, durations, flips, coverage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from statistics import median
from typing import NamedTuple

from support.generated import Build, Project, Ran
from support.oracle import nodes as oracle_nodes
from support.oracle.runs import outcome


def _history(project: Project, node: str) -> list[tuple[Build, Ran]]:
    """The runs of a node, the oldest first."""
    ran = [(b, b.results[node]) for b in project.builds if node in b.results]
    return sorted((pair for pair in ran if pair[1].completed_at), key=lambda pair: pair[1].completed_at or datetime.max)


def test_results(project: Project) -> dict[tuple[str, str], str]:
    """fct_test_results: outcome of each test in each command."""
    return {
        (build.id, node): outcome(ran)
        for build in project.builds
        for node, ran in build.results.items()
        if node.startswith(("test.", "unit_test."))
    }


# The var baseline_least_days, smaller than usual: the generated projects are some days long.
LEAST_DAYS = 2


class Duration(NamedTuple):
    """One success of a model against those before it; seconds."""

    seconds: float
    usual: float | None
    deviations: float | None
    p50: float
    p95: float
    is_slow: bool | None


def durations(project: Project) -> dict[tuple[str, str], Duration]:
    """fct_model_durations, of builds that are all within baseline_days, and none of them judged_days old."""
    found = {}
    for node in project.nodes:
        if not node.startswith("model."):
            continue
        successes = [(b, ran) for b, ran in _history(project, node) if ran.status == "success"]
        seconds = [ran.seconds for _, ran in successes]
        ends = [ran.completed_at for _, ran in successes if ran.completed_at]
        levels = [_level(ends, seconds, number) for number in range(len(seconds))]
        for number, (build, ran) in enumerate(successes):
            took = ran.seconds
            residuals = [
                math.log1p(seconds[n]) - x for n in range(max(0, number - 30), number) if (x := levels[n]) is not None
            ]
            level, middle = levels[number], median(residuals) if residuals else 0.0
            usual = round(math.expm1(level + middle), 3) if level is not None else None
            deviations = None
            if level is not None and residuals:
                spread = (percentile(residuals, 0.9) - percentile(residuals, 0.1)) / 2.563
                before = min(number, 30)
                deviations = (math.log1p(took) - level - middle) / (max(spread, 0.01) * (1 + 6 / before))
            is_slow = None
            if number >= 5 and ends[number] - ends[0] >= timedelta(days=LEAST_DAYS):
                assert usual is not None and deviations is not None
                is_slow = deviations > 4.5 and took >= 1.5 * usual and took >= usual + 30
            found[build.id, node] = Duration(
                took, usual, deviations, percentile(seconds, 0.5), percentile(seconds, 0.95), is_slow
            )
    return found


def _level(ends: list[datetime], seconds: list[float], number: int) -> float | None:
    """The median logarithm on the same weekday of the five weeks before; without any, of the thirty runs before."""
    end = ends[number]
    alike = [
        math.log1p(seconds[n])
        for n in range(number)
        if ends[n].weekday() == end.weekday() and timedelta(days=1) <= end - ends[n] <= timedelta(days=36)
    ]
    if alike:
        return median(alike)
    before = [math.log1p(s) for s in seconds[max(0, number - 30) : number]]
    return median(before) if before else None


def percentile(values: Sequence[float], rate: float) -> float:
    """Between two values, in proportion."""
    ordered = sorted(values)
    place = rate * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def flips(project: Project) -> dict[str, tuple[int, int, int]]:
    """fct_test_flakiness at the newest run of each test that flipped and is there: flips that no change of code upstream explains, passes
    on a retry among them, and runs of the last 21.
    """
    found = {}
    for node in project.nodes:
        if not node.startswith(("test.", "unit_test.")) or node not in oracle_nodes.current(project):
            continue
        runs = [(b, ran) for b, ran in _history(project, node) if ran.status in ("pass", "fail")]
        flipped = [i for i in range(1, len(runs)) if runs[i][1].status != runs[i - 1][1].status]
        if flipped:
            above = oracle_nodes.upstream(project, node)
            explained = [
                i
                for i in flipped
                if any(project.version(n, runs[i][0].day) != project.version(n, runs[i - 1][0].day) for n in above)
            ]
            window = [i for i in flipped if i >= len(runs) - 21 and i not in explained]
            retried = [i for i in window if runs[i][1].status == "pass" and runs[i][0].retries]
            found[node] = (len(window), len(retried), min(len(runs), 21))
    return found


def coverage(project: Project) -> dict[str, tuple[int, int]]:
    """fct_project_coverage by resource type, without tests and exposures: nodes, and how many have a test attached."""
    current = oracle_nodes.current(project)
    tested = {
        project.nodes[n].parents[0]
        for n in current
        if n in project.nodes and project.nodes[n].type in ("test", "unit_test")
    }
    found: dict[str, tuple[int, int]] = {}
    for node in current:
        kind = node.split(".", 1)[0]
        if kind in ("test", "unit_test", "exposure"):
            continue
        count, with_test = found.get(kind, (0, 0))
        found[kind] = (count + 1, with_test + (node in tested))
    return found
