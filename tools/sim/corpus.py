"""How often each kind of signal is right, over years of data teams, and how many messages a project sends that fails every day."""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections import Counter, defaultdict
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import time_machine

from sim import truth
from sim.slack import FakeSlack
from sim.team import Habits
from sim.truth import Score
from sim.year import BEGIN, simulated_year
from sim.years import Place, incidents_of

_DAYS, _EVERY_DAYS = 365, 14
# Four weeks of a project that is built each night.
_BUSY_DAYS, _BUSY_RATE, _BUSY_SIZE = 28, 300.0, 6
_BUSY = Habits("build", True, 1.0, 0.0, 0, retries=False, upgrade_day=None, has_parts=False, has_developers=False)
_BUSY_KINDS = ("node_failed", "test_failed", "test_flaky", "source_stale")


def write(path: str, years: int) -> None:
    """Write the counts of ``years`` years, by kind, what was not right, and the messages of each week, as JSON."""
    total: dict[str, Counter[str]] = defaultdict(Counter)
    unlike: list[str] = []
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        busy = pool.submit(_messages)
        for number, scores in enumerate(pool.map(_scored, range(years))):
            for kind, score in scores.items():
                total[kind] += Counter(
                    faults=score.faults,
                    found=score.found,
                    incidents=score.incidents,
                    right=score.right,
                    again=score.again,
                )
                for word, them in (("missed", score.missed), ("wrong", score.wrong)):
                    unlike += [
                        f"year {number}: {word} {kind} of {e.node_id} at {e.started_at}"
                        for e in sorted(them, key=lambda e: e.started_at)
                    ]
        kinds = {kind: dict(total[kind]) for kind in sorted(total)}
        found: dict[str, Any] = {"years": years, "kinds": kinds, "unlike": unlike, **busy.result()}
    Path(path).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _scored(number: int) -> dict[str, Score]:
    """One year, by kind."""
    year = simulated_year(random.Random(f"truth-{number}"), _DAYS)
    with tempfile.TemporaryDirectory(prefix="offdag-sim-") as folder:
        incidents = incidents_of(year, Place(Path(folder), year.habits), _DAYS, _EVERY_DAYS)
    return truth.scores(year, incidents, BEGIN + timedelta(days=_DAYS))


def _messages() -> dict[str, Any]:
    """Failures a day, and messages of each week to the one channel, of a project that fails every day."""
    year = simulated_year(random.Random("busy"), _BUSY_DAYS, _BUSY_RATE, _BUSY_SIZE, _BUSY, _BUSY_KINDS)
    weeks = [0] * (_BUSY_DAYS // 7)
    with (
        tempfile.TemporaryDirectory(prefix="offdag-sim-") as folder,
        time_machine.travel(BEGIN) as clock,
        FakeSlack() as slack,
    ):
        place, rest = Place(Path(folder), year.habits), list(year.commands)
        for day in range(1, _BUSY_DAYS + 1):
            now, before = BEGIN + timedelta(days=day), len(slack.posted)
            while rest and rest[0].ended_at < now:
                clock.move_to(rest[0].ended_at + timedelta(minutes=1))
                place.collect(rest.pop(0))
            clock.move_to(now)
            place.monitor()
            place.send(slack)
            new = [message for message in slack.posted[before:] if "thread_ts" not in message]
            weeks[(day - 1) // 7] += len(new)
    failures = Counter(at.date() for seen in year.observations.values() for at, is_bad in seen if is_bad)
    return {
        "nodes": len(year.nodes),
        "failures_a_day": sorted(failures.values()),
        "messages_a_week": weeks,
    }
