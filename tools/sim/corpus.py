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
from sim.year import BEGIN, lived
from sim.years import Place, incidents_of

_DAYS, _EVERY_DAYS = 365, 30
# Four weeks of a project of about 170 nodes, of which about 20 fail each day.
_BUSY_DAYS, _BUSY_RATE, _BUSY_SIZE = 28, 400.0, 6


def write(path: str, years: int) -> None:
    """Write the counts of ``years`` years, by kind, and the messages of each week, as JSON."""
    total: dict[str, Counter[str]] = defaultdict(Counter)
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        busy = pool.submit(_messages)
        for counts in pool.map(_scored, range(years)):
            for kind, count in counts.items():
                total[kind] += Counter(count)
        found: dict[str, Any] = {"years": years, "kinds": {k: dict(total[k]) for k in sorted(total)}, **busy.result()}
    Path(path).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def _scored(number: int) -> dict[str, dict[str, int]]:
    """Counts of one year, by kind."""
    year = lived(random.Random(f"truth-{number}"), _DAYS)
    with tempfile.TemporaryDirectory(prefix="offdag-sim-") as folder:
        incidents = incidents_of(year, Place(Path(folder), year.habits), _DAYS, _EVERY_DAYS)
    scores = truth.scores(year, incidents, BEGIN + timedelta(days=_DAYS))
    return {
        kind: {"faults": s.faults, "found": s.found, "incidents": s.incidents, "right": s.right}
        for kind, s in scores.items()
    }


def _messages() -> dict[str, Any]:
    """Failures a day, and messages of each week to each channel, of a project that fails every day."""
    year = lived(random.Random("busy"), _BUSY_DAYS, _BUSY_RATE, _BUSY_SIZE)
    weeks: Counter[str] = Counter()
    failures: Counter[str] = Counter()
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
            weeks.update(f"{(day - 1) // 7}-{message['channel']}" for message in new)
    for seen in year.observations.values():
        failures.update(str(at.date()) for at, is_bad in seen if is_bad)
    return {"failures_a_day": sum(failures.values()) / _BUSY_DAYS, "messages_a_week": sorted(weeks.values())}
