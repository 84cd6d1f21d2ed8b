"""Tests and models over time: results, durations, flips, coverage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
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
    deviation: float | None
    p50: float
    p95: float
    is_slow: bool | None


def durations(project: Project, as_of: datetime) -> dict[tuple[str, str], Duration]:
    """fct_model_durations, of builds that are all within baseline_days."""
    newest = max(
        a.ended_at for a in [*project.builds, *project.freshness, *project.descriptions] if a.ended_at <= as_of
    )
    judged_from = datetime.combine((newest - timedelta(days=40)).date(), time())
    found = {}
    for node in project.nodes:
        if not node.startswith("model."):
            continue
        successes = [(b, ran.seconds) for b, ran in _history(project, node) if ran.status == "success"]
        seconds = [s for _, s in successes]
        for number, (build, took) in enumerate(successes):
            before = seconds[max(0, number - 30) : number]
            usual = median(before) if before else None
            deviation = median(abs(s - usual) for s in before) if usual is not None else None
            is_slow = None
            at = build.results[node].completed_at
            first_at = successes[0][0].results[node].completed_at
            assert at and first_at
            is_known = len(before) >= 5 and at - first_at >= timedelta(days=LEAST_DAYS) and at >= judged_from
            if usual is not None and deviation is not None and is_known:
                is_far = took - usual > 4 * 1.4826 * deviation and took - usual >= 30 and took >= 1.5 * usual
                of_weekday = [t for b, t in successes[:number] if _is_weeks_between(b, build, node)]
                is_slow = is_far and (not of_weekday or took >= 1.5 * median(of_weekday))
            found[build.id, node] = Duration(
                took, usual, deviation, percentile(seconds, 0.5), percentile(seconds, 0.95), is_slow
            )
    return found


def _is_weeks_between(earlier: Build, later: Build, node: str) -> bool:
    """Whether a run was on the same weekday of the five weeks before another one, three hours more or less."""
    one, other = earlier.results[node].completed_at, later.results[node].completed_at
    assert one and other
    hours = (other - one).total_seconds() / 3600
    is_at_its_hour = min(hours % 168, 168 - hours % 168) <= 3
    return one.weekday() == other.weekday() and 6 * 24 <= hours <= 36 * 24 and is_at_its_hour


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
