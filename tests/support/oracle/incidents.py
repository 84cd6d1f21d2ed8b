"""Incidents of nodes and tests, how they recovered, and what is due."""

from __future__ import annotations

from datetime import datetime, timedelta
from statistics import mean
from typing import NamedTuple

from support.generated import Project
from support.oracle.nodes import current, newest_manifest_at, periods, upstream
from support.oracle.runs import mass_failures


class Episode(NamedTuple):
    """An incident of one node."""

    node_id: str
    status: str
    started_at: datetime
    last_bad_at: datetime
    bad_count: int
    ended_at: datetime | None
    severity: str
    first_run_id: str


def incidents(project: Project) -> set[Episode]:
    """fct_incidents: consecutive failures and warnings of each node; a success ends them, a skip and an outage say nothing."""
    found = set()
    outages = mass_failures(project)
    there, newest, lives = current(project), newest_manifest_at(project), periods(project)
    for node_id in project.nodes:
        bad: list[tuple[datetime, str, str]] = []
        for build in project.builds:
            ran = build.results.get(node_id)
            if ran is None or ran.completed_at is None:
                continue
            if ran.status == "error" and build.id in outages:
                continue
            if ran.is_failure or ran.status == "warn":
                bad.append((ran.completed_at, "warning" if ran.status == "warn" else "error", build.id))
            elif bad:
                found.add(_episode(node_id, bad, "resolved", ran.completed_at))
                bad = []
        if bad:
            is_gone = node_id not in there and newest > bad[-1][0]
            gone_at = max(bad[-1][0], *(end for n, _, end in lives if n == node_id and end)) if is_gone else None
            found.add(_episode(node_id, bad, "closed" if is_gone else "open", gone_at))
    return found


def _episode(node_id: str, bad: list[tuple[datetime, str, str]], status: str, ended_at: datetime | None) -> Episode:
    return Episode(node_id, status, bad[0][0], bad[-1][0], len(bad), ended_at, bad[-1][1], bad[0][2])


def routes(project: Project) -> dict[tuple[str, datetime], tuple[str, int | None]]:
    """fct_incident_routes: no route of the seed names a channel for nodes; errors are sent again after a day."""
    return {
        (e.node_id, e.started_at): ("#data-alerts", 24 if e.severity == "error" else None) for e in incidents(project)
    }


def recovery(project: Project, kind: str) -> tuple[int, int, int, int, float | None] | None:
    """fct_incident_recovery of one kind: all, open, resolved, closed, and the mean seconds to recover."""
    is_test = kind == "test_failed"
    them = [e for e in incidents(project) if e.node_id.startswith(("test.", "unit_test.")) == is_test]
    if not them:
        return None
    took = [int(_whole_seconds(e)) for e in them if e.status == "resolved"]
    states = [e.status for e in them]
    counts = [states.count(state) for state in ("open", "resolved", "closed")]
    return (len(them), counts[0], counts[1], counts[2], mean(took) if took else None)


def changes(project: Project, as_of: datetime) -> dict[tuple[str, datetime], tuple[str, set[str]]]:
    """fct_incident_changes, of nodes that are there: the last command before the incident in which the node succeeded, and the
    nodes, it or upstream, whose code is another one since.
    """
    found = {}
    builds = {build.id: build for build in project.builds}
    for episode in incidents(project):
        node = episode.node_id
        if episode.last_bad_at < as_of - timedelta(days=7) or node not in current(project):
            continue
        first = builds[episode.first_run_id]
        good = [
            (ran.completed_at, build)
            for build in project.builds
            if (ran := build.results.get(node)) and ran.completed_at and ran.status in ("success", "pass")
        ]
        before = [build for at, build in good if at < episode.started_at]
        if before:
            changed = {
                n
                for n in upstream(project, node)
                if project.version(n, first.day) != project.version(n, before[-1].day)
            }
            found[node, episode.started_at] = (before[-1].id, changed)
    return found


def due(project: Project, as_of: datetime) -> set[str]:
    """fct_notifications_due, where nothing was delivered yet: nodes whose incident is open, and not older than a week."""
    return {e.node_id for e in incidents(project) if e.status == "open" and e.last_bad_at >= as_of - timedelta(days=7)}


def _whole_seconds(episode: Episode) -> float:
    """Seconds between the starts of two clock seconds, as databases count them."""
    assert episode.ended_at
    return (episode.ended_at.replace(microsecond=0) - episode.started_at.replace(microsecond=0)).total_seconds()
