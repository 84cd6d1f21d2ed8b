"""Delivery: each due notification is claimed, posted and recorded, at least once, and once alone where the sink can be asked."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from offdag.clock import utc_now
from offdag.errors import DeliveryError, three_parts
from offdag.history.history import History, path_part
from offdag.notify.message import build_message
from offdag.notify.outbox import Intent, Outbox
from offdag.notify.sinks import Posted, Printed, Refused, Sink, Unknown
from offdag.settings import Settings

Row = dict[str, Any]

_INSTANTS = ("started_at", "last_bad_at", "ended_at")


@dataclass
class Outcome:
    """What a run of deliveries came to.

    Attributes:
        messages: Delivered.
        notifications: In them.
        failures: One per message that Slack refused.
        unknown: Messages whose answer was lost; a later run looks for them.
        pending: Notifications that another sender holds.
    """

    messages: int = 0
    notifications: int = 0
    failures: list[DeliveryError] = field(default_factory=list)
    unknown: int = 0
    pending: int = 0


def sink_for(settings: Settings, show: Callable[[str], None]) -> Sink:
    """The bot where there is a token, the webhook where there is one, else the terminal."""
    if settings.slack_token:
        from offdag.notify.slack import SlackBot

        return SlackBot(settings.slack_token, settings.slack_api_url)
    if settings.slack_webhook:
        from offdag.notify.slack import SlackWebhook

        return SlackWebhook(settings.slack_webhook)
    return Printed(show)


class Delivery:
    """Delivers due notifications to one sink.

    Args:
        history: Holds intents and receipts.
        sink: Where to.
        say: Gets lines for people.
    """

    def __init__(self, history: History, sink: Sink, say: Callable[[str], None]) -> None:
        self._outbox = Outbox(history, sink.name)
        self._sink = sink
        self._say = say

    def preview(self, due: Sequence[Row]) -> list[Row]:
        """The payloads that would be posted now; nothing is written."""
        outcomes = self._outbox.outcomes()
        payloads = []
        for channel, rows in self._by_channel(due).items():
            intents, _ = self._outbox.intents(path_part(channel))
            payloads += [payload for _, payload in self._envelopes(channel, _unclaimed(rows, intents, outcomes))]
        return payloads

    def deliver(self, due: Sequence[Row]) -> Outcome:
        """Post what is due, after finishing what earlier senders left. One channel's trouble does not stop the others."""
        outcome = Outcome()
        for folder in self._outbox.channels():
            self._finish(folder, outcome)
        for channel, rows in self._by_channel(due).items():
            self._deliver_channel(channel, rows, outcome)
        return outcome

    def _by_channel(self, due: Sequence[Row]) -> dict[str, list[Row]]:
        channels: dict[str, list[Row]] = {}
        for row in due:
            if row["sink"] == self._sink.name:
                channels.setdefault(row["channel"], []).append(row)
        return dict(sorted(channels.items()))

    def _envelopes(
        self, channel: str, rows: Sequence[Row], threadless: Set[str] = frozenset()
    ) -> list[tuple[list[Row], Row]]:
        """Split a channel's rows into messages: one for all that is new, one for each thread that is answered."""
        threads: dict[tuple[str, str] | None, list[Row]] = {}
        for row in rows:
            thread = (row["opened_message_channel"], row["opened_message_ts"])
            answers = row["event"] != "opened" and all(thread) and row["notification_id"] not in threadless
            threads.setdefault(thread if answers and self._sink.has_threads else None, []).append(row)
        return [
            (group, self._sink.payload(build_message(group), channel, Posted(*key) if key else None))
            for key, group in sorted(threads.items(), key=lambda item: item[0] or ("", ""))
        ]

    def _deliver_channel(self, channel: str, rows: Sequence[Row], outcome: Outcome) -> None:
        folder = path_part(channel)
        # Refused in a thread: said in the channel instead. Refused there too: not tried again in this run.
        threadless: set[str] = set()
        refused: set[str] = set()
        while True:
            intents, number = self._outbox.intents(folder)
            outcomes = self._outbox.outcomes()
            fresh = [r for r in _unclaimed(rows, intents, outcomes) if r["notification_id"] not in refused]
            if not fresh:
                mine = {row["notification_id"] for row in rows}
                open_intents = (i for i in intents if i.envelope_id not in outcomes)
                outcome.pending += sum(t["notification_id"] in mine for i in open_intents for t in i.rows)
                return
            group, payload = self._envelopes(channel, fresh, threadless)[0]
            intent = self._outbox.claim(folder, number + 1, group, channel, payload, utc_now())
            if intent is None:
                continue
            ids = {row["notification_id"] for row in group}
            in_thread = "thread_ts" in payload
            problem = self._send(intent, outcome)
            if problem is not None and in_thread:
                threadless |= ids
            elif problem is not None:
                refused |= ids
                outcome.failures.append(problem)

    def _finish(self, folder: str, outcome: Outcome) -> None:
        """Take over what senders left that were killed, or never got an answer."""
        while True:
            outcomes = self._outbox.outcomes()
            intents, number = self._outbox.intents(folder)
            left = [i for i in intents if i.envelope_id not in outcomes and i.is_expired(utc_now())]
            if not left:
                return
            taken = self._outbox.take_over(folder, number + 1, left[0], utc_now())
            if taken is not None:
                self._say(f"notify finishes a message to {taken.channel} that another sender left")
                problem = self._send(taken, outcome, look_first=True)
                outcome.failures += [problem] if problem else []

    def _send(self, intent: Intent, outcome: Outcome, look_first: bool = False) -> DeliveryError | None:
        """Post and record; gives the error where the sink refused it."""
        try:
            posted = self._look_or_post(intent) if look_first else self._post(intent)
        except Refused as problem:
            self._outbox.receipt(intent, "failed", utc_now(), problem.reason)
            return DeliveryError(f"Slack refused a message: {problem.reason}", intent.channel, problem.next_command)
        except Unknown as problem:
            outcome.unknown += 1
            what = f"nobody knows whether a message arrived: {problem}"
            self._say(
                three_parts(what, intent.channel, "offdag notify, in ten minutes: it looks for the message first")
            )
        else:
            self._outbox.receipt(intent, "delivered", utc_now(), posted=posted)
            outcome.messages += 1
            outcome.notifications += len(intent.rows)
        return None

    def _post(self, intent: Intent) -> Posted:
        try:
            return self._sink.post(intent.payload, intent.envelope_id)
        except Unknown:
            return self._look_or_post(intent, may_mark=False)

    def _look_or_post(self, intent: Intent, may_mark: bool = True) -> Posted:
        """Look whether the envelope arrived, and post it if not; where the sink cannot look, post it marked as a possible repeat.

        Raises:
            Refused: It did not arrive.
            Unknown: It may have arrived.
        """
        try:
            found = self._sink.find(intent.payload, intent.envelope_id, datetime.fromisoformat(intent.first_created_at))
        except Unknown:
            if not may_mark:
                raise
            message = replace(build_message([_with_instants(row) for row in intent.rows]), is_possible_repeat=True)
            thread_ts = intent.payload.get("thread_ts")
            thread = Posted(intent.payload["channel"], thread_ts) if thread_ts else None
            try:
                return self._sink.post(self._sink.payload(message, intent.channel, thread), intent.envelope_id)
            except Refused as problem:
                # This attempt did not arrive; the one before it may have.
                raise Unknown(problem.reason) from problem
        return found or self._sink.post(intent.payload, intent.envelope_id)


def _unclaimed(rows: Sequence[Row], intents: Sequence[Intent], outcomes: dict[str, str]) -> list[Row]:
    """Rows that no intent holds, but for those that were refused."""
    held = {
        told["notification_id"]
        for intent in intents
        if outcomes.get(intent.envelope_id) != "failed"
        for told in intent.rows
    }
    return [row for row in rows if row["notification_id"] not in held]


def _with_instants(row: Row) -> Row:
    return {**row, **{k: datetime.fromisoformat(row[k]) for k in _INSTANTS if row[k]}}
