"""Delivery: each due notification is claimed, posted and recorded, at least once, and once alone where the sink can be asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from offdag.clock import utc_now
from offdag.errors import DeliveryError, three_parts
from offdag.history.history import History, path_part
from offdag.notify.formats import marked_as_repeat
from offdag.notify.message import Message, build_message
from offdag.notify.outbox import Intent, Log, Outbox, Receipt
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


def sinks_for(settings: Settings, show: Callable[[str], None], is_json: bool = False) -> list[Sink]:
    """Slack by its bot where there is a token, else by its webhook; any other webhook; the terminal where there is none of them."""
    sinks: list[Sink] = []
    if settings.slack_token:
        from offdag.notify.slack import SlackBot

        sinks.append(SlackBot(settings.slack_token, settings.slack_api_url))
    elif settings.slack_webhook:
        from offdag.notify.slack import SlackWebhook

        sinks.append(SlackWebhook(settings.slack_webhook))
    if settings.webhook:
        from offdag.notify.webhook import Webhook

        sinks.append(Webhook(settings.webhook))
    return sinks or [Printed(show, is_json)]


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
        receipts = self._outbox.receipts()
        payloads = []
        for channel, rows in self._by_channel(due).items():
            fresh = _unclaimed(rows, self._outbox.log(path_part(channel)), receipts)
            for _, message, thread in self._envelopes(fresh):
                payloads.append(self._sink.payload(message, channel, thread))
                payloads += self._sink.details(message) if thread is None else []
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
        self, rows: Sequence[Row], threadless: Set[str] = frozenset()
    ) -> list[tuple[list[Row], Message, Posted | None]]:
        """Split a channel's rows into messages: one for all that is new, one for each thread that is answered."""
        threads: dict[tuple[str, str] | None, list[Row]] = {}
        for row in rows:
            thread = (row["opened_message_channel"], row["opened_message_ts"])
            answers = row["event"] != "opened" and all(thread) and row["notification_id"] not in threadless
            threads.setdefault(thread if answers and self._sink.has_threads else None, []).append(row)
        return [
            (group, build_message(group), Posted(*key) if key else None)
            for key, group in sorted(threads.items(), key=lambda item: item[0] or ("", ""))
        ]

    def _deliver_channel(self, channel: str, rows: Sequence[Row], outcome: Outcome) -> None:
        folder = path_part(channel)
        # Refused in a thread: said in the channel instead. Refused there too: not tried again in this run.
        threadless: set[str] = set()
        refused: set[str] = set()
        while True:
            log, receipts = self._outbox.log(folder), self._outbox.receipts()
            fresh = [r for r in _unclaimed(rows, log, receipts) if r["notification_id"] not in refused]
            if not fresh:
                mine = {row["notification_id"] for row in rows}
                open_intents = (i for i in log.intents.values() if i.envelope_id not in receipts)
                outcome.pending += sum(t["notification_id"] in mine for i in open_intents for t in i.rows)
                return
            group, message, thread = self._envelopes(fresh, threadless)[0]
            payload = self._sink.payload(message, channel, thread)
            details = self._sink.details(message) if thread is None else []
            intent = self._outbox.new_intent(folder, group, channel, payload, details, utc_now())
            if not self._outbox.claim(folder, intent):
                continue
            ids = {row["notification_id"] for row in group}
            problem = self._send(intent, outcome)
            if problem is not None and thread is not None:
                threadless |= ids
            elif problem is not None:
                refused |= ids
                outcome.failures.append(problem)
            self._follow_up(folder, outcome)
            if problem is None and thread is not None:
                self._update(folder, thread)

    def _finish(self, folder: str, outcome: Outcome) -> None:
        """Take over what senders left that were killed, or never got an answer."""
        while self._expired(folder):
            # Its sender may have been slow, and done since the log was read.
            self._outbox.forget(folder)
            left = self._expired(folder)
            if not left:
                break
            intent = left[0].renewed(utc_now())
            if self._outbox.claim(folder, intent):
                self._say(f"notify finishes a message to {intent.channel} that another sender left")
                problem = self._send(intent, outcome, look_first=True)
                outcome.failures += [problem] if problem else []
        self._follow_up(folder, outcome)

    def _expired(self, folder: str) -> list[Intent]:
        receipts = self._outbox.receipts()
        intents = self._outbox.log(folder).intents.values()
        return [i for i in intents if i.envelope_id not in receipts and i.is_expired(utc_now())]

    def _follow_up(self, folder: str, outcome: Outcome) -> None:
        """Post the details of messages that were delivered, in their threads."""
        while True:
            log, receipts = self._outbox.log(folder), self._outbox.receipts()
            due = [
                (intent, number, receipts[intent.envelope_id].posted)
                for intent in log.intents.values()
                for number in range(len(intent.details))
                if intent.envelope_id in receipts
                and receipts[intent.envelope_id].outcome == "delivered"
                and intent.detail_id(number) not in log.intents
            ]
            if not due:
                return
            intent, number, posted = due[0]
            details = intent.follow_up(number, posted, utc_now())
            if self._outbox.claim(folder, details):
                problem = self._send(details, outcome)
                outcome.failures += [problem] if problem else []

    def _update(self, folder: str, thread: Posted) -> None:
        """Let the first message of a thread say what has ended since. That the end was told in the thread is what counts."""
        log, receipts = self._outbox.log(folder), self._outbox.receipts()
        delivered = [i for i in log.intents.values() if i.envelope_id in receipts]
        first = next((i for i in delivered if receipts[i.envelope_id].posted == thread and i.details), None)
        if first is None:
            return
        ended = {
            row["signal_key"]: {k: row[k] for k in ("event", "ended_at", "closed_reason")}
            for intent in delivered
            if intent.payload.get("thread_ts") == thread.ts and receipts[intent.envelope_id].outcome == "delivered"
            for row in intent.rows
            if row["event"] in ("resolved", "closed")
        }
        rows = [_with_instants({**row, **ended.get(row["signal_key"], {})}) for row in first.rows]
        try:
            self._sink.update(thread, build_message(rows), first.envelope_id)
        except (Refused, Unknown) as problem:
            self._say(f"the first message in {first.channel} still shows what has ended: {problem}")

    def _send(self, intent: Intent, outcome: Outcome, look_first: bool = False) -> DeliveryError | None:
        """Post and record; gives the error where the sink refused it."""
        try:
            posted = self._look_or_post(intent) if look_first else self._post(intent)
        except Refused as problem:
            self._outbox.receipt(intent, "failed", utc_now(), problem.reason)
            return DeliveryError(
                f"{self._sink.name} refused a message: {problem.reason}", intent.channel, problem.next_command
            )
        except Unknown as problem:
            outcome.unknown += 1
            what = f"nobody knows whether a message arrived: {problem}"
            self._say(
                three_parts(what, intent.channel, "offdag notify, in ten minutes: it looks for the message first")
            )
        else:
            self._outbox.receipt(intent, "delivered", utc_now(), posted=posted)
            told = [row for row in intent.rows if row["event"] != "details"]
            outcome.messages += bool(told)
            outcome.notifications += len(told)
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
            try:
                return self._sink.post(marked_as_repeat(intent.payload), intent.envelope_id)
            except Refused as problem:
                # This attempt did not arrive; the one before it may have.
                raise Unknown(problem.reason) from problem
        return found or self._sink.post(intent.payload, intent.envelope_id)


def _unclaimed(rows: Sequence[Row], log: Log, receipts: Mapping[str, Receipt]) -> list[Row]:
    """Rows that no intent holds, but for those that were refused."""
    held = {
        told["notification_id"]
        for intent in log.intents.values()
        if intent.envelope_id not in receipts or receipts[intent.envelope_id].outcome != "failed"
        for told in intent.rows
    }
    return [row for row in rows if row["notification_id"] not in held]


def _with_instants(row: Row) -> Row:
    return {**row, **{k: datetime.fromisoformat(row[k]) for k in _INSTANTS if row[k]}}
