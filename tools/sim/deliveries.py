"""Deliveries under kills and faults of Slack: nothing lost, nothing sent twice, every thread complete."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timezone
from typing import Any
from unittest.mock import patch

from offdag.history.history import History
from offdag.history.store import Store
from offdag.monitor.rows import DueNotification
from offdag.notify.delivery import Delivery
from offdag.notify.slack import SlackBot
from sim.case import Case, CaseResult
from sim.clock import MovingClock
from sim.notifications import due
from sim.slack import TOKEN, FakeSlack

_FAULTS = (
    "500",
    "500_after",
    "drop",
    "short",
    "empty",
    "page",
    "list",
    "429:0",
    "429:3600",
    "error:internal_error",
    "error:fatal_error",
    "error:ratelimited",
)
_FAULT_RATE = 0.2
_SHARE_THAT_KNOWS_LESS = 0.5
_CHANNELS = ("#data-alerts", "#shop-stock")
_ROUNDS_TO_SETTLE = 8


class SimulatedKill(BaseException):
    """The sender's process ends here."""


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


@contextmanager
def _killed_at(number: int, is_after: bool, count: Counter[str]) -> Iterator[None]:
    """Kill whoever makes the n-th write or call to Slack, before or after its effect."""
    lock, calls = threading.Lock(), 0

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            with lock:
                calls += 1
                is_mine = calls == number
            if is_mine and not is_after:
                count["kills"] += 1
                raise SimulatedKill
            result = original(*arguments, **named)
            if is_mine:
                count["kills"] += 1
                raise SimulatedKill
            return result

        return call

    with ExitStack() as stack:
        for owner, method in ((Store, "write"), (Store, "create"), (Store, "delete"), (SlackBot, "_answer")):
            stack.enter_context(patch.object(owner, method, dying(getattr(owner, method))))
        yield


def run_case(case: Case, slack: FakeSlack) -> CaseResult:
    """Some rounds of incidents, senders, faults and kills; then senders without faults until nothing is due."""
    rng, result, clock = case.rng, CaseResult(), MovingClock()
    slack.reset()
    history = History(case.folder)
    world = World(rng, history)

    def choose(method: str) -> str:
        if rng.random() >= _FAULT_RATE:
            return "ok"
        result.counts["faults"] += 1
        return rng.choice(_FAULTS)

    def send(rows: list[DueNotification]) -> None:
        sink = SlackBot(TOKEN, f"{slack.url}/api/")
        Delivery(history, sink, clock, pause=lambda _: None).deliver(rows)

    slack.choose = choose
    slack.now = lambda: clock().replace(tzinfo=timezone.utc).timestamp()
    for _ in range(rng.randint(2, 5)):
        world.move_on()
        rows = world.due()
        # Some know less: their marts are older, or an incident is muted for a while.
        senders = [
            rng.sample(rows, rng.randint(0, len(rows))) if rng.random() < _SHARE_THAT_KNOWS_LESS else rows
            for _ in range(rng.randint(1, 3))
        ]
        _round(rng, senders, send, result)
        clock.advance(minutes=rng.choice((1, 12, 30)))
    slack.choose = None
    for _ in range(_ROUNDS_TO_SETTLE):
        clock.advance(hours=1)
        send(world.due())
    _check(history, slack, world, result)
    return result


def _round(
    rng: random.Random,
    senders: list[list[DueNotification]],
    send: Callable[[list[DueNotification]], None],
    result: CaseResult,
) -> None:
    """Senders one after the other, each perhaps killed; or at once."""
    if len(senders) > 1 and rng.random() < 0.4:
        threads = [threading.Thread(target=send, args=(rows,)) for rows in senders]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return
    for rows in senders:
        number = rng.randint(1, 25) if rng.random() < 0.7 else 0
        with suppress(SimulatedKill), _killed_at(number, rng.random() < 0.5, result.counts):
            send(rows)


def _check(history: History, slack: FakeSlack, world: World, result: CaseResult) -> None:
    receipts = history.read("deliveries").to_pylist()
    delivered = [r for r in receipts if r["outcome"] == "delivered"]
    result.counts["notifications"] += sum(r["event"] in ("opened", "resolved") for r in delivered)
    result.counts["messages"] += len(slack.posted)
    result.counts["marked"] += sum("Possible repeat" in str(m) for m in slack.posted)
    result.broken += [f"{row.notification_id} was never delivered" for row in world.due()]
    by_notification = Counter(r["notification_id"] for r in delivered if r["event"] in ("opened", "resolved"))
    result.broken += [f"{name} was delivered {n} times" for name, n in by_notification.items() if n > 1]
    posted: Counter[str] = Counter()
    for message in slack.posted:
        posted[message["metadata"]["event_payload"]["envelope_id"]] += "Possible repeat" not in str(message)
    result.broken += [f"envelope {name} was posted {n} times" for name, n in posted.items() if n > 1]
    recorded = {r["envelope_id"] for r in delivered}
    result.broken += [f"envelope {name} has no receipt" for name in posted if name not in recorded]
    for message in slack.posted:
        if "thread_ts" not in message:
            _check_thread(slack, message, delivered, result)


def _check_thread(slack: FakeSlack, first: dict[str, Any], delivered: list[dict[str, Any]], result: CaseResult) -> None:
    """The details once, and in the first message what ended."""
    envelope = first["metadata"]["event_payload"]["envelope_id"]
    answers = [m for m in slack.posted if m.get("thread_ts") == first["ts"]]
    details = [m for m in answers if m["metadata"]["event_payload"]["envelope_id"].startswith(f"{envelope}-")]
    opened = [r["signal_key"] for r in delivered if r["envelope_id"] == envelope and r["event"] == "opened"]
    if opened and len(details) != 1:
        result.broken.append(f"the message {envelope} has {len(details)} details")
    ended = {r["signal_key"] for r in delivered if r["event"] == "resolved" and r["signal_key"] in opened}
    # The header has the title of a lone problem, without its state.
    text = str(first["blocks"][1:])
    for key in opened:
        before = text[: text.find(f"test of {key} fails")]
        is_shown_ended = before.rfind("*RESOLVED*") > before.rfind("*FAILED*")
        if is_shown_ended != (key in ended):
            result.broken.append(f"the message {envelope} shows {key} {'as ended' if is_shown_ended else 'as open'}")
