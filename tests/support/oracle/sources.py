"""Freshness of sources: checks, the share of time in which they were fresh, and what was not checked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from support.generated import ERROR_AFTER, Check, Project


def _checks(project: Project, source: str) -> list[tuple[datetime, Check]]:
    return [(run.ended_at, run.checks[source]) for run in project.freshness if source in run.checks]


def _stale_at(at: datetime, check: Check) -> datetime | None:
    return at - check.age + ERROR_AFTER if check.age is not None else None


def freshness(project: Project) -> dict[tuple[str, str], tuple[str, datetime | None]]:
    """fct_source_freshness: dbt's status, and when the source is stale."""
    return {
        (run.id, source): (check.status, _stale_at(run.ended_at, check))
        for run in project.freshness
        for source, check in run.checks.items()
    }


def service_level(project: Project, as_of: datetime) -> dict[str, tuple[int, int, float, float]]:
    """fct_source_sla: checks, fresh ones, and the minutes that were watched and fresh."""
    found = {}
    for source in project.sources:
        checks = _checks(project, source)
        if not checks:
            continue
        watched = fresh = timedelta(0)
        for number, (at, check) in enumerate(checks):
            stale_at = _stale_at(at, check)
            until = checks[number + 1][0] if number + 1 < len(checks) else as_of
            if stale_at is not None:
                watched += until - at
                fresh += max(min(until, stale_at) - at, timedelta(0))
        good = sum(check.status in ("pass", "warn") for _, check in checks)
        found[source] = (len(checks), good, watched.total_seconds() / 60, fresh.total_seconds() / 60)
    return found


def coverage(project: Project) -> dict[str, tuple[str, Any]]:
    """fct_source_coverage: whether the newest command checked it, and the newest check whose query did not fail."""
    found = {}
    for source in project.sources:
        good = [at for at, check in _checks(project, source) if check.status != "runtime error"]
        newest = project.freshness[-1].ended_at
        state = "checked" if good and good[-1] == newest else "vanished" if good else "never checked"
        found[source] = (state, good[-1] if good else None)
    return found
