"""Faults of a year: what breaks, when, and in which commands it showed."""

from __future__ import annotations

import math
import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from sim.team import CONTRACTED, SOURCES, Node

# Each kind of signal with its faults in a year, and the least and largest number of days that one lasts.
_IN_A_YEAR = {
    "node_failed": (8, 1, 4),
    "test_failed": (10, 1, 5),
    "source_stale": (4, 2, 6),
    "source_unchecked": (2, 2, 4),
    "run_missing": (3, 1, 2),
    "run_incomplete": (3, 1, 1),
    "mass_failure": (3, 1, 2),
    "model_slow": (5, 1, 12),
    "test_flaky": (2, 25, 40),
    "schema_changed": (3, 1, 1),
    "volume_odd": (6, 1, 10),
    "node_drop": (3, 1, 1),
}
# Without earlier runs there is no baseline to differ from: the rules call that unknown.
_FIRST_DAY = {"model_slow": 36, "volume_odd": 36, "node_drop": 20, "test_flaky": 10, "schema_changed": 2}


# By how many standard deviations a slow run or an odd volume is away at least, whatever the node's noise.
_DEVIATIONS = 9.0


@dataclass
class Fault:
    """One thing that breaks.

    Attributes:
        kind: The kind of signal that should report it.
        node_id: What breaks; None for the whole build.
        first_day: Day of the year.
        last_day: The last one on which it is broken.
        seen: When commands ended in which it showed, of kinds that compare with a baseline; empty where none could show it.
        results: Whether a flaky test was bad in each of its runs.
        factor: Of the seconds of a slow model, or the rows of an odd volume.
    """

    kind: str
    node_id: str | None
    first_day: int
    last_day: int
    seen: list[datetime] = field(default_factory=list)
    results: list[bool] = field(default_factory=list)
    factor: float = 1.0

    @property
    def flips(self) -> int:
        """How often a flaky test changed between good and bad in its last 21 runs; it was good before."""
        last = [False, *self.results][-21:]
        return sum(one != other for one, other in pairwise(last))

    def is_on(self, day: int) -> bool:
        return self.first_day <= day <= self.last_day


def drawn(
    rng: random.Random, nodes: dict[str, Node], days: int, rate: float, kinds: Collection[str] | None = None
) -> list[Fault]:
    """The faults of a year: at most one at a time of a node, and of the whole build.

    Args:
        rng: Draws them.
        nodes: The project's.
        days: Length of the year.
        rate: Times the usual number of faults.
        kinds: Of these kinds alone; None for all.
    """
    found: list[Fault] = []
    for kind, (number, shortest, longest) in _IN_A_YEAR.items():
        if kinds is not None and kind not in kinds:
            continue
        for _ in range(round(number * rate * days / 365)):
            length = rng.randint(shortest, longest)
            first = rng.randint(_FIRST_DAY.get(kind, 1), max(days - length - 1, _FIRST_DAY.get(kind, 1)))
            place = _place(rng, kind, nodes)
            fault = Fault(kind, place, first, first + length - 1, factor=_factor(rng, kind, nodes.get(place or "")))
            if not any(_is_in_the_way(fault, other) for other in found):
                found.append(fault)
    return found


def _place(rng: random.Random, kind: str, nodes: dict[str, Node]) -> str | None:
    """A node that this can happen to."""
    if kind in ("run_missing", "run_incomplete", "mass_failure", "node_drop"):
        return None
    if kind in ("source_stale", "source_unchecked"):
        return rng.choice(SOURCES)
    if kind == "schema_changed":
        return CONTRACTED
    if kind in ("test_failed", "test_flaky"):
        return rng.choice([node.id for node in nodes.values() if node.is_test])
    models = [node for node in nodes.values() if not node.is_test]
    if kind in ("model_slow", "volume_odd"):
        # A node that was added has no baseline yet.
        models = [node for node in models if node.days[0] == 0]
    if kind == "volume_odd":
        models = [node for node in models if node.rows] or models
    return rng.choice(models).id


def _factor(rng: random.Random, kind: str, node: Node | None) -> float:
    """What a fault does to seconds or rows: at least twice as long, and no, a twentieth, or three times as many rows."""
    away = math.exp(_DEVIATIONS * node.noise) if node else 1.0
    if kind == "model_slow":
        return max(away, rng.choice([2.0, 8.0]))
    return rng.choice([0.0, min(1 / away, 0.05), max(away, 3.0)]) if kind == "volume_odd" else 1.0


def _is_in_the_way(one: Fault, other: Fault) -> bool:
    """Whether two faults could not be distinguished: of one node, or of the whole build, within a day of each other."""
    is_near = one.first_day <= other.last_day + 2 and other.first_day <= one.last_day + 2
    return is_near and one.node_id == other.node_id


def on(faults: Iterable[Fault], day: int) -> dict[str | None, Fault]:
    """The faults of a day, by node."""
    return {fault.node_id: fault for fault in faults if fault.is_on(day)}
