"""What a simulated year should have reported, and how incidents are scored against it."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import datetime, timedelta

from sim import truth
from sim.faults import Fault
from sim.team import Habits
from sim.truth import Episode
from sim.year import BEGIN, Year, simulated_year

HABITS = Habits("build", True, 1.0, 0.0, 0, retries=False, upgrade_day=None, has_parts=False, has_developers=False)
NODE = "model.shop.stg_0"


def at(day: int, hour: int = 4) -> datetime:
    return BEGIN + timedelta(days=day, hours=hour)


def year(**more: object) -> Year:
    return replace(Year(HABITS, {}, []), **more)


def test_consecutive_bad_observations_are_one_episode() -> None:
    seen = [(at(0), False), (at(1), True), (at(2), True), (at(3), False), (at(4), True)]
    found = truth.episodes(year(observations={("node_failed", NODE): seen}), at(9))
    assert found == {Episode("node_failed", NODE, at(1), at(2)), Episode("node_failed", NODE, at(4), at(4))}
    assert len(truth.episodes(year(observations={("node_failed", NODE): seen}), at(3))) == 1


def test_a_build_is_missed_a_day_and_its_grace_after_the_last_one() -> None:
    missed = Episode("run_missing", None, at(2, 6), at(2, 6))
    assert truth.episodes(year(builds=[at(0), at(1), at(3)]), at(3, 5)) == {missed}
    assert truth.episodes(year(), at(3)) == set()
    # From Friday to Monday.
    weekdays = replace(HABITS, works_weekends=False)
    assert truth.episodes(year(habits=weekdays, builds=[at(4), at(7)]), at(7, 5)) == set()


def test_each_incident_is_matched_once() -> None:
    one = Episode("node_failed", NODE, at(1), at(2))
    assert truth.unlike([one, one], [one]) == ([one], [])
    assert truth.unlike([], [one]) == ([], [one])
    moved = one._replace(started_at=at(1) + timedelta(minutes=5))
    assert truth.unlike([moved], [one]) == ([], [])


def test_a_fault_is_found_by_an_incident_of_its_first_run_alone() -> None:
    def score(*incidents: tuple[datetime, datetime]) -> tuple[int, ...]:
        fault = Fault("model_slow", NODE, 1, 3, seen=[at(1), at(2), at(3)])
        found = [Episode("model_slow", NODE, *ends) for ends in incidents]
        scored = truth.scores(year(faults=[fault]), found, at(9))["model_slow"]
        return scored.faults, scored.found, scored.incidents, scored.right, scored.again, len(scored.wrong)

    assert score((at(1), at(3))) == (1, 1, 1, 1, 0, 0)
    assert score() == (1, 0, 0, 0, 0, 0)
    # Late is right, but not found; before and after are false alarms.
    assert score((at(2), at(3))) == (1, 0, 1, 1, 0, 0)
    assert score((at(0), at(0))) == (1, 0, 1, 0, 0, 1)
    assert score((at(1), at(1)), (at(2), at(2)), (at(5), at(5))) == (1, 1, 3, 1, 1, 1)


def test_the_same_seed_lives_the_same_year() -> None:
    one, other = (simulated_year(random.Random("seed"), 30) for _ in range(2))
    assert one.observations == other.observations
    assert [c.id for c in one.commands] == [c.id for c in other.commands]
    assert one.observations != simulated_year(random.Random("other seed"), 30).observations
