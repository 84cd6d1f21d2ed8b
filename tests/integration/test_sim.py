"""A few cases of each suite of `make sim`, and a checker that finds what is broken on purpose."""

from __future__ import annotations

from collections import Counter
from functools import partial
from unittest.mock import patch

import pytest

from offdag.notify.slack import SlackBot
from sim import collects, deliveries, runs, years
from sim.case import Case, CaseFunction, CaseResult
from sim.suite import run_suite

pytestmark = pytest.mark.slow

# Twelve days of a year: a quarter of a CPU minute.
SUITES: dict[str, CaseFunction] = {
    "deliveries": deliveries.run_case,
    "collects": collects.run_case,
    "runs": runs.run_case,
    "years": partial(years.run_case, days=12),
}


@pytest.mark.parametrize(("suite", "cases"), [("deliveries", 12), ("collects", 20), ("runs", 1), ("years", 1)])
def test_no_promise_is_broken(suite: str, cases: int) -> None:
    shown: list[str] = []
    assert run_suite(suite, SUITES[suite], 7, list(range(cases)), shown.append) == 0, shown


def test_a_sender_that_cannot_find_what_it_posted_is_caught() -> None:
    """A defect made on purpose: without a lookup, a lost answer is a second message."""
    shown: list[str] = []
    with patch.object(SlackBot, "find", lambda *_: None):
        assert run_suite("deliveries", deliveries.run_case, 7, list(range(8)), shown.append) > 0
    assert any("was posted 2 times" in line for line in shown), shown
    assert any("python -m sim deliveries --seed 7 --case " in line for line in shown)


def test_the_same_seed_gives_the_same_case(tmp_path_factory: pytest.TempPathFactory) -> None:
    found = [collects.run_case(Case(3, 5, str(tmp_path_factory.mktemp("sim")))) for _ in range(2)]
    assert found[0] == found[1] != CaseResult(Counter())
