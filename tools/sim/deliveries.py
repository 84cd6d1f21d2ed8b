"""Deliveries under kills and faults of Slack and of the store: nothing lost, nothing sent twice, every thread complete."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import nullcontext, suppress
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from offdag.errors import HistoryError
from offdag.history.history import History
from offdag.monitor.rows import DueNotification
from offdag.notify.delivery import Delivery
from offdag.notify.slack import SlackBot
from sim.buckets import bucket_fails, new_bucket
from sim.case import Case, CaseResult
from sim.clock import MovingClock
from sim.kills import SLACK_FAULTS, SimulatedKill, at_once, killed_at
from sim.messages import check_ends, check_messages
from sim.notifications import due
from sim.slack import TOKEN, FakeSlack

_FAULT_RATE = 0.2
_SHARE_THAT_KNOWS_LESS = 0.5
_CHANNELS = ("#data-alerts", "#shop-stock")
_ROUNDS_TO_SETTLE = 8
# By how much clocks may differ; the guide to reliability names it.
_SECONDS_AMONG_SENDERS = 280
_SECONDS_TO_SLACK = 3300


class World:
    """Incidents that open and end, and what is due of them by the receipts in the history: the monitor's rule, written again.

    Args:
        rng: Decides what happens.
        history: Holds the receipts.
    """

    def __init__(self, rng: random.Random, history: History) -> None:
        self._rng = rng
        self._history = history
        self._incidents = {f"k{i}": rng.choice(_CHANNELS) for i in range(rng.randint(1, 8))}
        self._is_open: dict[str, bool] = {}
        self._round = 0

    def move_on(self) -> None:
        """Some incidents open, some end."""
        self._round += 1
        for key in self._incidents:
            if key not in self._is_open and self._rng.random() < 0.6:
                self._is_open[key] = True
            elif self._is_open.get(key) and self._rng.random() < 0.3:
                self._is_open[key] = False

    def due(self) -> list[DueNotification]:
        """What is not delivered and still true."""
        rows = self._history.read("deliveries").to_pylist()
        delivered = {(r["signal_key"], r["event"]): r for r in rows if r["outcome"] == "delivered"}
        found = []
        for key, is_open in self._is_open.items():
            opened = delivered.get((key, "opened"))
            common: dict[str, Any] = {
                "signal_key": key,
                "channel": self._incidents[key],
                "title": f"test of {key} fails",
            }
            if is_open and not opened:
                found.append(due(notification_id=f"{key}-opened", **common))
            elif not is_open and opened and (key, "resolved") not in delivered:
                place = {
                    "opened_message_channel": opened["message_channel"],
                    "opened_message_ts": opened["message_ts"],
                    "ended_at": datetime(2026, 1, 31, 7),
                }
                found.append(due(notification_id=f"{key}-resolved", event="resolved", **common, **place))
        return found


def run_case(case: Case) -> CaseResult:
    """Some rounds of incidents, senders, faults and kills; then senders without faults until nothing is due."""
    with FakeSlack() as slack:
        return _run(case, slack)


def _run(case: Case, slack: FakeSlack) -> CaseResult:
    rng, result, clock = case.rng, CaseResult(), MovingClock()
    is_in_bucket = rng.random() < 0.4
    history = History(new_bucket() if is_in_bucket else case.folder)
    world = World(rng, history)

    def choose(method: str) -> str:
        if rng.random() >= _FAULT_RATE:
            return "ok"
        result.counts["faults"] += 1
        return rng.choice(SLACK_FAULTS)

    def send(rows: list[DueNotification]) -> None:
        sink = SlackBot(TOKEN, f"{slack.url}/api/")
        ahead = timedelta(seconds=rng.uniform(-_SECONDS_AMONG_SENDERS / 2, _SECONDS_AMONG_SENDERS / 2))
        with suppress(HistoryError):
            Delivery(history, sink, lambda: clock() + ahead, pause=lambda _: None).deliver(rows)

    slack.choose = choose
    ahead = rng.uniform(-_SECONDS_TO_SLACK, _SECONDS_TO_SLACK)
    slack.now = lambda: clock().replace(tzinfo=timezone.utc).timestamp() + ahead
    for _ in range(rng.randint(2, 5)):
        world.move_on()
        rows = world.due()
        # Some know less: their marts are older, or an incident is muted for a while.
        senders = [
            rng.sample(rows, rng.randint(0, len(rows))) if rng.random() < _SHARE_THAT_KNOWS_LESS else rows
            for _ in range(rng.randint(1, 3))
        ]
        slack.archived = {name for name in slack.channels if rng.random() < 0.1}
        result.counts["archived channels"] += len(slack.archived)
        with bucket_fails(rng, result.counts) if is_in_bucket and rng.random() < 0.5 else nullcontext():
            _round(rng, senders, send, result)
        clock.advance(minutes=rng.choice((1, 12, 30)))
    slack.choose = None
    slack.archived = set()
    for _ in range(_ROUNDS_TO_SETTLE):
        clock.advance(hours=1)
        send(world.due())
    result.broken += [f"{row.notification_id} was never delivered" for row in world.due()]
    check_messages(history, slack, result)
    check_ends(history, slack, result)
    return result


def _round(
    rng: random.Random,
    senders: list[list[DueNotification]],
    send: Callable[[list[DueNotification]], None],
    result: CaseResult,
) -> None:
    """Senders one after the other, each perhaps killed; or at once."""
    if len(senders) > 1 and rng.random() < 0.4:
        at_once(partial(send, rows) for rows in senders)
        return
    for rows in senders:
        number = rng.randint(1, 25) if rng.random() < 0.7 else 0
        with suppress(SimulatedKill), killed_at(number, rng.random() < 0.5, result.counts):
            send(rows)
