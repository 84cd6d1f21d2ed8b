"""Incidents against what was true in a simulated year: which faults were found, and which incidents had one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from sim.faults import Fault
from sim.year import Observation, Year

# Kinds whose rule leaves nothing to judge: each observation is good or bad. The others compare with a baseline.
EXACT = ("node_failed", "test_failed", "source_stale", "source_unchecked", "run_incomplete", "mass_failure")
_EVERY, _GRACE = timedelta(hours=24), timedelta(hours=2)
_SATURDAY = 5
JUDGED = ("model_slow", "test_flaky", "schema_changed", "volume_odd", "node_drop")
# The minutes between what happened and the file about it, and between two runs.
_SOON, _NEAR = timedelta(minutes=10), timedelta(days=1, hours=6)


class Episode(NamedTuple):
    """Consecutive bad observations."""

    kind: str
    node_id: str | None
    started_at: datetime
    last_bad_at: datetime


@dataclass
class Score:
    """How often a kind of signal was right.

    Attributes:
        faults: Faults that a command could show.
        found: Of these, those with an incident that began in the first run that showed them, or before.
        incidents: Incidents of the kind.
        right: Of these, those with a fault.
        missed: The faults that were not found.
        wrong: The incidents without a fault.
    """

    faults: int = 0
    found: int = 0
    incidents: int = 0
    right: int = 0
    missed: list[Episode] = field(default_factory=list)
    wrong: list[Episode] = field(default_factory=list)


def episodes(year: Year, as_of: datetime) -> set[Episode]:
    """What the exact kinds and the missing runs should have reported by ``as_of``."""
    found = set()
    for (kind, node_id), seen in year.observations.items():
        found |= {Episode(kind, node_id, *ends) for ends in _bad_runs(o for o in seen if o[0] <= as_of)}
    return found | {Episode("run_missing", None, due, due) for due in _missed(year, as_of)}


def _bad_runs(observations: Iterable[Observation]) -> Iterable[tuple[datetime, datetime]]:
    """First and last of consecutive bad observations."""
    bad: list[datetime] = []
    for at, is_bad in sorted(observations):
        if is_bad:
            bad.append(at)
        elif bad:
            yield bad[0], bad[-1]
            bad = []
    if bad:
        yield bad[0], bad[-1]


def _missed(year: Year, as_of: datetime) -> Iterable[datetime]:
    """When a build of the cadence was due and did not come."""
    builds = sorted(at for at in year.builds if at <= as_of)
    for ended, following in zip(builds, [*builds[1:], as_of], strict=True):
        due = ended + _EVERY + _GRACE
        while not year.habits.works_weekends and due.weekday() >= _SATURDAY:
            due += timedelta(days=1)
        if due < following:
            yield due


def scores(year: Year, incidents: Iterable[Episode], as_of: datetime) -> dict[str, Score]:
    """What each kind of signal should have reported, and what it did, matched by node and time."""
    found: dict[str, Score] = defaultdict(Score)
    by_kind: dict[str, list[Episode]] = defaultdict(list)
    for incident in incidents:
        by_kind[incident.kind].append(incident)
    expected = list(episodes(year, as_of))
    for episode in expected:
        score = found[episode.kind]
        score.faults += 1
        if any(is_same(episode, incident) for incident in by_kind[episode.kind]):
            score.found += 1
        else:
            score.missed.append(episode)
    for fault in year.faults:
        if fault.seen and fault.kind in JUDGED:
            score = found[fault.kind]
            score.faults += 1
            if any(_is_of(fault, incident, fault.seen[0]) for incident in by_kind[fault.kind]):
                score.found += 1
            else:
                score.missed.append(Episode(fault.kind, fault.node_id, fault.seen[0], fault.seen[-1]))
    for kind, them in by_kind.items():
        for incident in them:
            is_right = any(is_same(incident, episode) for episode in expected) or any(
                _is_of(fault, incident) for fault in year.faults if fault.kind == kind and kind in JUDGED
            )
            found[kind].incidents += 1
            found[kind].right += is_right
            if not is_right:
                found[kind].wrong.append(incident)
    return found


def is_same(one: Episode, other: Episode) -> bool:
    """Whether two episodes are one, but for some minutes."""
    if (one.kind, one.node_id) != (other.kind, other.node_id):
        return False
    # A missing run has no observations.
    is_same_end = one.kind == "run_missing" or abs(one.last_bad_at - other.last_bad_at) < _SOON
    return abs(one.started_at - other.started_at) < _SOON and is_same_end


def _is_of(fault: Fault, incident: Episode, found_by: datetime | None = None) -> bool:
    """Whether an incident is about a fault, and was there by the time that is given."""
    if fault.node_id != incident.node_id or not fault.seen:
        return False
    if incident.started_at > fault.seen[-1] + _NEAR or incident.last_bad_at < fault.seen[0] - _NEAR:
        return False
    return found_by is None or incident.started_at <= found_by + _SOON
