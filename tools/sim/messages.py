"""What must be true of all messages and their receipts: nothing twice, nothing without a receipt, every thread complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

from offdag.history.history import History
from sim.case import CaseResult
from sim.slack import FakeSlack

# Details are sent for as long after their message.
_DETAILS_FOR = timedelta(days=7)


def check_messages(
    history: History, slack: FakeSlack, result: CaseResult, sent: Sequence[datetime] | None = None
) -> None:
    """Each notification and each message once, with its details.

    Args:
        history: Has the receipts.
        slack: Has the messages.
        result: Gets what is broken.
        sent: When senders ran to their end; None where one did after each message.
    """
    delivered = _delivered(history)
    result.counts["notifications"] += sum(r["event"] in ("opened", "resolved") for r in delivered)
    result.counts["messages"] += len(slack.posted)
    result.counts["marked"] += sum("Possible repeat" in str(m) for m in slack.posted)
    by_notification = Counter(r["notification_id"] for r in delivered if r["event"] in ("opened", "resolved"))
    result.broken += [f"{name} was delivered {n} times" for name, n in by_notification.items() if n > 1]
    posted: Counter[str] = Counter()
    for message in slack.posted:
        posted[_envelope(message)] += "Possible repeat" not in str(message)
    result.broken += [f"envelope {name} was posted {n} times" for name, n in posted.items() if n > 1]
    recorded = {r["envelope_id"] for r in delivered}
    result.broken += [f"envelope {name} has no receipt" for name in posted if name not in recorded]
    for first in _first_messages(slack):
        name = _envelope(first)
        answers = [m for m in slack.posted if m.get("thread_ts") == first["ts"]]
        details = [m for m in answers if _envelope(m).startswith(f"{name}-")]
        opened = any(r["envelope_id"] == name and r["event"] == "opened" for r in delivered)
        at = datetime.fromtimestamp(float(first["ts"]), timezone.utc).replace(tzinfo=None)
        is_sent = sent is None or any(at < end < at + _DETAILS_FOR for end in sent)
        if opened and len(details) != 1 and (is_sent or details):
            result.broken.append(f"the message {name} has {len(details)} details")


def check_ends(history: History, slack: FakeSlack, result: CaseResult) -> None:
    """The first message shows what ended."""
    delivered = _delivered(history)
    for first in _first_messages(slack):
        name = _envelope(first)
        opened = [r["signal_key"] for r in delivered if r["envelope_id"] == name and r["event"] == "opened"]
        ended = {r["signal_key"] for r in delivered if r["event"] == "resolved" and r["signal_key"] in opened}
        # The header has the title of a lone problem, without its state.
        text = str(first["blocks"][1:])
        for key in opened:
            before = text[: text.find(f"test of {key} fails")]
            is_shown_ended = before.rfind("*RESOLVED*") > before.rfind("*FAILED*")
            if is_shown_ended != (key in ended):
                result.broken.append(f"the message {name} shows {key} {'as ended' if is_shown_ended else 'as open'}")


def _delivered(history: History) -> list[dict[str, Any]]:
    return [row for row in history.read("deliveries").to_pylist() if row["outcome"] == "delivered"]


def _first_messages(slack: FakeSlack) -> list[dict[str, Any]]:
    return [message for message in slack.posted if "thread_ts" not in message]


def _envelope(message: dict[str, Any]) -> str:
    return str(message["metadata"]["event_payload"]["envelope_id"])
