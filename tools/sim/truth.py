"""Incidents against what was true in a simulated year: which faults were found, and which incidents had one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import pairwise
from typing import NamedTuple

from sim.year import Observation, Year

# Kinds whose rule leaves nothing to judge: each observation is good or bad. The others compare with a baseline.
EXACT = ("node_failed", "test_failed", "source_stale", "source_unchecked", "run_incomplete", "mass_failure")
_EVERY, _GRACE = timedelta(hours=24), timedelta(hours=2)
_SATURDAY = 5
JUDGED = ("model_slow", "test_flaky", "schema_changed", "volume_odd", "node_drop")
# Minutes between what happened and the file about it.
_SOON = timedelta(minutes=10)


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
        found: Of these, those with an incident that was there after the first run that showed them.
        incidents: Incidents of the kind.
        right: Of these, those that were there while a fault showed; the first for each fault.
        again: Of the others, those that were there while a fault showed that had another incident before.
        missed: The faults that were not found.
        wrong: The incidents without a fault.
    """

    faults: int = 0
    found: int = 0
    incidents: int = 0
    right: int = 0
    again: int = 0
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
    for ended, following in pairwise([*builds, as_of] if builds else []):
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
    for episode in episodes(year, as_of):
        _count(found[episode.kind], episode, by_kind[episode.kind], partial(is_same, episode))
    for fault in year.faults:
        if fault.seen and fault.kind in JUDGED:
            # Each command that ran fewer nodes is an incident of its own.
            ends = [(at, at) for at in fault.seen] if fault.kind == "node_drop" else [(fault.seen[0], fault.seen[-1])]
            for shown in (Episode(fault.kind, fault.node_id, *end) for end in ends):
                _count(found[fault.kind], shown, by_kind[fault.kind], partial(_is_there, shown, shown.started_at))
    for kind, rest in by_kind.items():
        # Those that found their fault are gone; a fault that was found late still has an incident.
        late = [e for e in found[kind].missed if kind in JUDGED]
        of_kind = [Episode(f.kind, f.node_id, f.seen[0], f.seen[-1]) for f in year.faults if f.seen and f.kind == kind]
        for incident in rest:
            found[kind].incidents += 1
            match = next((e for e in late if _is_there(e, e.last_bad_at, incident)), None)
            if match:
                late.remove(match)
                found[kind].right += 1
            elif kind in JUDGED and any(_is_there(e, e.last_bad_at, incident) for e in of_kind):
                found[kind].again += 1
            else:
                found[kind].wrong.append(incident)
    return found


def _count(score: Score, episode: Episode, incidents: list[Episode], is_found: Callable[[Episode], bool]) -> None:
    """Count a fault, and take its incident out of the list."""
    score.faults += 1
    incident = next((one for one in incidents if is_found(one)), None)
    if incident is None:
        score.missed.append(episode)
        return
    incidents.remove(incident)
    score.found += 1
    score.incidents += 1
    score.right += 1


def unlike(found: Iterable[Episode], expected: Iterable[Episode]) -> tuple[list[Episode], list[Episode]]:
    """Those that are only in the first, and only in the second; each is matched once."""
    alone, rest = [], sorted(expected, key=str)
    for one in sorted(found, key=str):
        match = next((other for other in rest if is_same(one, other)), None)
        if match:
            rest.remove(match)
        else:
            alone.append(one)
    return alone, rest


def is_same(one: Episode, other: Episode) -> bool:
    """Whether two episodes are one, but for some minutes."""
    if (one.kind, one.node_id) != (other.kind, other.node_id):
        return False
    # A missing run has no observations.
    is_same_end = one.kind == "run_missing" or abs(one.last_bad_at - other.last_bad_at) < _SOON
    return abs(one.started_at - other.started_at) < _SOON and is_same_end


def _is_there(fault: Episode, until: datetime, incident: Episode) -> bool:
    """Whether an incident of the fault's node was there between the fault's first observation and another one."""
    is_of_node = incident.node_id == fault.node_id
    return is_of_node and incident.started_at <= until + _SOON and incident.last_bad_at >= fault.started_at - _SOON
