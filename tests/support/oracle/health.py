"""Health of exposures, sources and deadlines, where the open incidents are given."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from support.generated import ERROR_AFTER, WARN_AFTER, Project
from support.oracle import nodes, runs, sources

_OF_THE_DATA = {
    "node_failed",
    "test_failed",
    "source_stale",
    "source_unchecked",
    "schema_changed",
    "volume_odd",
    "mass_failure",
    "run_incomplete",
    "run_missing",
    "node_drop",
}


class OpenIncident(NamedTuple):
    """An open incident, as fct_incidents has it."""

    kind: str
    node_id: str | None
    severity: str


def exposures(project: Project, incidents: list[OpenIncident]) -> dict[str, tuple[str, int]]:
    """fct_exposure_health: health, and the number of open incidents upstream or of the whole environment."""
    found = {}
    for exposure, parents in project.exposures.items():
        above = set().union(*(nodes.upstream(project, parent) for parent in parents))
        bad = [i for i in incidents if i.kind in _OF_THE_DATA and _affects(project, i, above)]
        built = {n for n in above if n.startswith("model.") and not project.nodes[n].is_ephemeral}
        succeeded = {n for b in project.builds for n, ran in b.results.items() if ran.status == "success"}
        newest = {
            n: ran.status for b in project.builds for n, ran in b.results.items() if ran.status in ("success", "error")
        }
        has_failed = any(newest.get(n) == "error" for n in built)
        if has_failed or any(i.severity == "error" and i.kind != "run_missing" for i in bad):
            health = "degraded"
        elif not built & succeeded:
            health = "unknown"
        elif bad or built - succeeded:
            health = "caution"
        else:
            health = "healthy"
        found[exposure] = (health, len(bad))
    return found


def _affects(project: Project, incident: OpenIncident, above: set[str]) -> bool:
    if incident.node_id is None or incident.node_id in above:
        return True
    is_test = incident.node_id.startswith(("test.", "unit_test."))
    return is_test and project.nodes[incident.node_id].parents[0] in above


def source_states(project: Project, as_of: datetime) -> dict[str, tuple[str, datetime | None]]:
    """fct_source_states: the state by the newest check, and when that was."""
    found = {}
    for source, (coverage, _) in sources.coverage(project).items():
        checks = [(run.ended_at, run.checks[source]) for run in project.freshness if source in run.checks]
        if not checks:
            found[source] = ("unknown", None)
            continue
        at, check = checks[-1]
        if (
            coverage == "never checked"
            or (coverage == "vanished" and at <= as_of - timedelta(hours=26))
            or check.age is None
        ):
            state = "unknown"
        elif check.status == "error":
            state = "stale"
        elif at - check.age + ERROR_AFTER <= as_of or (check.status == "pass" and at - check.age + WARN_AFTER <= as_of):
            state = "unknown"
        else:
            state = "late" if check.status == "warn" else "fresh"
        found[source] = (state, at)
    return found


def _at_risk_from(ended: list[datetime], due: list[datetime]) -> datetime:
    """Half of the time between the usual end of a build, before which nine in ten ended, and the deadline. Starts are not known."""
    offsets = sorted((end - d).total_seconds() for d, end in list(zip(due, ended[1:], strict=False))[-30:])
    if len(offsets) < 5:
        return datetime.max
    place = min(max((len(offsets) + 1) * 0.9, 1), len(offsets))
    below, share = int(place), place % 1
    usual = offsets[below - 1] + (share * (offsets[below] - offsets[below - 1]) if share else 0)
    return max(ended[-1], due[-1] + timedelta(seconds=min(0, usual / 2)))


def deadlines(project: Project, as_of: datetime) -> tuple[Any, ...]:
    """fct_deadlines of a build expected each 24 hours with 2 hours of grace: when the next is due, its state, kept and missed ones."""
    ended = [b.ended_at for b in project.builds if b.results and not b.retries]
    if not ended:
        return (None, "unknown", 0, 0)
    due = [at + timedelta(hours=26) for at in ended]
    kept = sum(d >= following and d <= as_of for d, following in zip(due, ended[1:], strict=False))
    missed = len({d for _, d in runs.gaps(project, as_of)})
    state = "late" if due[-1] < as_of else "at risk" if _at_risk_from(ended, due) <= as_of else "on time"
    return (due[-1], state, kept, missed)
