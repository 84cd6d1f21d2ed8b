"""Commands and jobs: how they ended, what ran in them, what waited for what, what a failure took down."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from statistics import median
from typing import Any, NamedTuple

from support.generated import Build, Project, Ran

# Starts and ends are read from the clock at different moments.
_RESOLUTION = timedelta(milliseconds=10)
_SKIPPABLE = ("model", "snapshot", "seed")
_OUTCOMES = {"success": "success", "pass": "success", "error": "failure", "fail": "failure", "warn": "warning"}


def outcome(ran: Ran) -> str:
    """offdag's word for dbt's status."""
    return _OUTCOMES.get(ran.status, ran.status)


def executions(project: Project) -> dict[tuple[str, str], tuple[Any, ...]]:
    """fct_node_executions: outcome, rows that a test returned, start, end, rows affected."""
    returned = {"fail": 3, "warn": 2, "pass": 0}
    # dbt writes success for everything that it describes.
    return {
        (build.id, node): (outcome(ran), returned.get(ran.status), ran.started_at, ran.completed_at, ran.rows_affected)
        for build in project.builds
        for node, ran in build.results.items()
    }


def newest_executions(project: Project) -> set[tuple[str, str]]:
    """fct_newest_executions: the newest build's results, those of its retry in place of what it ran again."""
    builds = [b for b in project.builds if b.results]
    if not builds:
        return set()
    newest = builds[-1]
    first = next(b for b in builds if b.id == (newest.retries or newest.id))
    return {(build.id, node) for node, build in {n: b for b in (first, newest) for n in b.results}.items()}


def costs(project: Project) -> set[tuple[str, str]]:
    """fct_node_costs: executions for which the adapter reports something; generated ones have a query id where they have rows."""
    return {(b.id, node) for b in project.builds for node, ran in b.results.items() if ran.rows_affected is not None}


def environment(project: Project) -> tuple[Any, ...]:
    """dim_environments: first and last command, last build, the newest one with results, its status, and the number of builds."""
    ends = [run.ended_at for run in (*project.builds, *project.freshness, *project.descriptions)]
    with_results = [b for b in project.builds if b.results]
    newest = with_results[-1] if with_results else None
    return (
        min(ends),
        max(ends),
        project.builds[-1].ended_at,
        newest.id if newest else None,
        status(newest) if newest else None,
        len(project.builds),
    )


def status(build: Build) -> str:
    """How one command ended."""
    if not build.results:
        return "empty"
    return "failure" if build.has_failed else "success"


def invocations(project: Project) -> dict[str, tuple[Any, ...]]:
    """fct_invocations: status, successes, failures, warnings, skips, results, and the build that a retry completes."""
    found: dict[str, tuple[Any, ...]] = {}
    for build in project.builds:
        counts = [
            sum(outcome(r) == o for r in build.results.values()) for o in ("success", "failure", "warning", "skipped")
        ]
        found[build.id] = (status(build), *counts, len(build.results), build.retries)
    for described in project.descriptions:
        count = len(project.nodes_on(described.day))
        found[described.id] = ("other command", count, 0, 0, 0, count, None)
    for run in project.freshness:
        statuses = [check.status for check in run.checks.values()]
        failures = sum(s in ("error", "runtime error") for s in statuses)
        ended = "failure" if failures else "success" if statuses else "empty"
        counts = [statuses.count("pass"), failures, statuses.count("warn"), 0]
        found[run.id] = (ended, *counts, len(statuses), None)
    return found


class Job(NamedTuple):
    """A build with its retry."""

    status: str
    ended_at: datetime
    invocation_count: int
    result_count: int


def jobs(project: Project) -> dict[str, Job]:
    """fct_jobs, by the first command: as bad as the last try."""
    tries: dict[str, list[Build]] = {}
    for build in project.builds:
        tries.setdefault(build.retries or build.id, []).append(build)
    return {
        key: Job(status(them[-1]), them[-1].ended_at, len(them), sum(len(b.results) for b in them))
        for key, them in tries.items()
    }


def usual_seconds(project: Project) -> dict[datetime, float | None]:
    """usual_seconds of fct_jobs, by the end of the job: the median of the successful ones of the 30 before, of at least five."""
    found: dict[datetime, float | None] = {}
    before: list[float | None] = []
    for key, job in jobs(project).items():
        begin = next(b.started_at for b in project.builds if b.id == key)
        took = (job.ended_at.replace(microsecond=0) - begin.replace(microsecond=0)).total_seconds()
        lengths = [length for length in before[-30:] if length is not None]
        found[job.ended_at] = median(lengths) if len(lengths) >= 5 else None
        before.append(took if job.status == "success" else None)
    return found


def job_invocations(project: Project) -> dict[str, str]:
    """fct_job_invocations: the job of each command."""
    return {build.id: build.retries or build.id for build in project.builds}


def health(project: Project) -> dict[date, tuple[int, ...]]:
    """fct_build_health_daily: builds, successes, failures; passes, warnings and failures of tests; skips."""
    found: dict[date, list[int]] = {}
    for job in jobs(project).values():
        row = found.setdefault(job.ended_at.date(), [0] * 7)
        row[0] += 1
        row[1] += job.status == "success"
        row[2] += job.status == "failure"
    for build in project.builds:
        row = found[build.ended_at.date()]
        for node, ran in build.results.items():
            is_test = node.startswith(("test.", "unit_test."))
            row[3] += is_test and outcome(ran) == "success"
            row[4] += is_test and outcome(ran) == "warning"
            row[5] += is_test and outcome(ran) == "failure"
            row[6] += ran.status == "skipped"
    return {day: tuple(row) for day, row in found.items()}


def error_budget(project: Project) -> tuple[int, int] | None:
    """fct_error_budgets: judged builds of the last 30 days, and how many of them failed; None without builds."""
    judged = [job.status for job in jobs(project).values() if job.status != "empty"]
    return (len(judged), judged.count("failure")) if jobs(project) else None


def concurrency(project: Project) -> dict[str, tuple[float, float, int]]:
    """fct_run_concurrency: seconds of the span, seconds of all nodes, most nodes at one instant."""
    found = {}
    for build in project.builds:
        times = [(r.started_at, r.completed_at) for r in build.results.values() if r.started_at and r.completed_at]
        if not times:
            continue
        peak = max(sum(start <= moment < end for start, end in times) for moment, _ in times)
        span = max(end for _, end in times) - min(start for start, _ in times)
        found[build.id] = (span.total_seconds(), sum((e - s).total_seconds() for s, e in times), peak)
    return found


def mass_failures(project: Project) -> dict[str, tuple[int, int]]:
    """fct_mass_failures: nodes that ran, and how many failed alike: at least five, and half of them."""
    found = {}
    for build in project.builds:
        ran = [r for r in build.results.values() if r.status != "skipped"]
        alike = sum(r.status == "error" for r in ran) if build.is_outage else 0
        if alike >= 5 and 2 * alike >= len(ran):
            found[build.id] = (len(ran), alike)
    return found


def node_drop(project: Project) -> dict[str, tuple[int, float | None, bool | None]]:
    """fct_node_drop: results, their usual number, and whether there are less than half of them."""
    found: dict[str, tuple[int, float | None, bool | None]] = {}
    before: list[int] = []
    for build in project.builds:
        if build.retries:
            continue
        count, usual = len(build.results), median(before[-30:]) if before else None
        is_drop = count < usual / 2 if usual is not None and len(before) >= 5 else None
        found[build.id] = (count, usual, is_drop)
        before.append(count)
    return found


def gaps(project: Project, as_of: datetime) -> set[tuple[str, datetime]]:
    """fct_run_gaps of a build expected each 24 hours with 2 hours of grace: the build before, and when the next was due."""
    ended = [(b.id, b.ended_at) for b in project.builds if b.results and not b.retries]
    found = set()
    for number, (build, at) in enumerate(ended):
        following = ended[number + 1][1] if number + 1 < len(ended) else as_of
        due = at + timedelta(hours=26)
        if due < following:
            found.add((build, due))
    return found


class Timed(NamedTuple):
    """Place of one node in the critical path of its job; seconds."""

    wait: float | None
    slack: float
    is_critical: bool


def critical_path(project: Project, build: Build) -> dict[str, Timed]:
    """fct_run_critical_path: wait, slack and critical path of each node that ran, by looking at every node that it waits for."""
    waits = project.waits(build.day)
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
    """fct_failure_impact: models downstream of each failed node, and how many of them were skipped."""
    found = {}
    for node_id, ran in build.results.items():
        if not ran.is_failure:
            continue
        node = project.nodes[node_id]
        start = node.parents[0] if node.type in ("test", "unit_test") else node_id
        below = downstream(project, start) | ({start} if node.type == "unit_test" else set())
        models = [n for n in below if project.nodes[n].type in _SKIPPABLE]
        skipped = [n for n in models if n in build.results and build.results[n].status == "skipped"]
        found[node_id] = (len(models), len(skipped))
    return found


def downstream(project: Project, start: str) -> set[str]:
    """Everything that reads a node, over any number of steps."""
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
