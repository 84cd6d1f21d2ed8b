"""Delivery: each due notification is claimed, posted and recorded: at least once, and exactly once where the sink can look up messages."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field

import msgspec

from offdag.clock import Clock, utc_now
from offdag.errors import DeliveryError, HistoryError, OffdagError, error_text
from offdag.history.history import History
from offdag.monitor.rows import DueNotification
from offdag.notify.formats import marked_as_repeat
from offdag.notify.message import Message, build_message
from offdag.notify.outbox import (
    CLOCK_DIFFERENCE,
    DELIVERED,
    DETAILS,
    FAILED,
    SUPERSEDED,
    UNKNOWN,
    Intent,
    Outbox,
    Receipt,
    channel_folder,
)
from offdag.notify.sinks import CannotLookUp, Payload, PostedMessage, Refusal, Sink, UnknownOutcome
from offdag.notify.threads import Threads

_log = logging.getLogger(__name__)

# Slack may accept a post after its sender stopped waiting for the answer.
_LATE_SECONDS = 5.0


@dataclass
class Outcome:
    """The result of a run of deliveries.

    Attributes:
        messages: Delivered messages.
        notifications: Notifications in them.
        failures: One per message that the sink refused, and per channel whose intents cannot be read.
        unknown: Messages whose answer was lost; a later run looks them up.
        pending: Notifications that another sender holds.
    """

    messages: int = 0
    notifications: int = 0
    failures: list[OffdagError] = field(default_factory=list)
    unknown: int = 0
    pending: int = 0


class Delivery:
    """Delivers due notifications to one sink.

    Args:
        history: Holds intents and receipts.
        sink: Gets the messages.
        clock: Returns the current time.
        pause: Waits for some seconds.
        report_url: Where people open the report; None for messages without links to it.
    """

    def __init__(
        self,
        history: History,
        sink: Sink,
        clock: Clock = utc_now,
        pause: Callable[[float], None] = time.sleep,
        report_url: str | None = None,
    ) -> None:
        self._outbox = Outbox(history, sink.name)
        self._threads = Threads(self._outbox, sink, clock, report_url)
        self._report_url = report_url
        self._sink = sink
        self._clock = clock
        self._pause = pause

    def preview(self, due: Sequence[DueNotification]) -> list[Payload]:
        """The payloads that would be posted now; nothing is written."""
        payloads = []
        for channel, rows in self._by_channel(due).items():
            claimed = self._outbox.claimed_ids(channel_folder(channel))
            fresh = [row for row in rows if row.notification_id not in claimed]
            for _, message, thread in self._envelopes(fresh):
                payloads.append(self._sink.payload(message, channel, thread))
                payloads += self._sink.details(message) if thread is None else []
        return payloads

    def deliver(self, due: Sequence[DueNotification]) -> Outcome:
        """Post what is due, after finishing what earlier senders left. One channel's trouble does not stop the others."""
        outcome = Outcome()
        rows = self._by_channel(due)
        still_due = {row.notification_id for group in rows.values() for row in group}
        names = {channel_folder(channel): channel for channel in rows}
        for folder in sorted({*self._outbox.channels(), *names}):
            try:
                self._finish(folder, still_due, outcome)
                if folder in names:
                    self._deliver_channel(names[folder], rows[names[folder]], outcome)
                self._checkpoint(folder)
            except HistoryError as error:
                outcome.failures.append(error)
        return outcome

    def _by_channel(self, due: Sequence[DueNotification]) -> dict[str, list[DueNotification]]:
        channels: dict[str, list[DueNotification]] = {}
        for row in due:
            if row.sink == self._sink.name:
                channels.setdefault(row.channel, []).append(row)
        return dict(sorted(channels.items()))

    def _envelopes(
        self, rows: Sequence[DueNotification], threadless: Set[str] = frozenset()
    ) -> list[tuple[list[DueNotification], Message, PostedMessage | None]]:
        """Split a channel's rows into messages: for all that is new, for each answered thread, for the digest; or for each incident."""
        if self._sink.is_per_incident:
            # The end of one incident comes before the begin of the next one of its signal.
            ordered = sorted(rows, key=lambda row: (row.event not in ("resolved", "closed"), row.started_at))
            return [([row], build_message([row], self._report_url), None) for row in ordered]
        digest = [row for row in rows if row.event == "digest"]
        rows = [row for row in rows if row.event != "digest"]
        threads: dict[tuple[str, str] | None, list[DueNotification]] = {}
        for row in rows:
            channel, ts = row.opened_message_channel, row.opened_message_ts
            answers = row.event != "opened" and self._sink.has_threads and row.notification_id not in threadless
            threads.setdefault((channel, ts) if answers and channel and ts else None, []).append(row)
        groups = [*sorted(threads.items(), key=lambda item: item[0] or ("", "")), *([(None, digest)] if digest else [])]
        return [
            (group, build_message(group, self._report_url), PostedMessage(*key) if key else None)
            for key, group in groups
        ]

    def _deliver_channel(self, channel: str, rows: Sequence[DueNotification], outcome: Outcome) -> None:
        folder = channel_folder(channel)
        # Refused in a thread: posted in the channel instead. Refused in the channel: not tried again in this run.
        threadless: set[str] = set()
        refused: set[str] = set()
        while True:
            claimed = self._outbox.claimed_ids(folder)
            fresh = [r for r in rows if r.notification_id not in claimed | refused]
            if not fresh:
                outcome.pending += self._pending(folder, {row.notification_id for row in rows})
                return
            group, message, thread = self._envelopes(fresh, threadless)[0]
            payload = self._sink.payload(message, channel, thread)
            if not self._outbox.uncertain_ids(folder).isdisjoint(row.notification_id for row in group):
                payload = marked_as_repeat(payload)
            details = self._sink.details(message) if thread is None else []
            intent = self._outbox.new_intent(folder, group, payload, details, self._clock())
            if not self._outbox.claim(folder, intent):
                continue
            ids = {row.notification_id for row in group}
            problem = self._send(intent, outcome)
            if problem is not None and thread is not None and not _is_rate_limit(problem):
                threadless |= ids
            elif problem is not None:
                refused |= ids
                outcome.failures.append(problem)
            self._follow_up(folder, outcome)

    def _pending(self, folder: str, ids: Set[str]) -> int:
        intents = self._outbox.log(folder).intents.values()
        return sum(row.notification_id in ids for i in intents if self._outbox.receipt_of(i) is None for row in i.rows)

    def _finish(self, folder: str, still_due: Set[str], outcome: Outcome) -> None:
        """Take over messages of senders that were killed, or never got an answer."""
        deferred: set[str] = set()
        while self._expired(folder, deferred):
            # Its sender may have been slow, and have finished since the log was read.
            self._outbox.forget(folder)
            left = self._expired(folder, deferred)
            if not left:
                break
            intent = left[0].renewed(self._clock())
            deferred.add(intent.envelope_id)
            if self._outbox.claim(folder, intent):
                _log.info("notify finishes a message to %s that another sender left", intent.channel)
                problem = self._finish_one(intent, still_due, outcome)
                outcome.failures += [problem] if problem else []
        self._follow_up(folder, outcome)

    def _expired(self, folder: str, deferred: Set[str]) -> list[Intent]:
        limit = self._clock() - CLOCK_DIFFERENCE
        return [
            intent
            for intent in self._outbox.log(folder).intents.values()
            if intent.lease_until <= limit
            and intent.envelope_id not in deferred
            and self._outbox.receipt_of(intent) is None
        ]

    def _finish_one(self, intent: Intent, still_due: Set[str], outcome: Outcome) -> DeliveryError | None:
        """Look up what another sender may have posted. Where it did not arrive and is no longer all due, the rest gets a new message."""
        try:
            found = self._sink.find(intent.payload, intent.envelope_id, intent.first_created_at)
        except CannotLookUp as problem:
            self._outbox.record(intent, Receipt(UNKNOWN), self._clock(), str(problem))
            return None
        except UnknownOutcome as problem:
            self._unknown(intent, problem, outcome)
            return None
        if found is not None:
            self._delivered(intent, found, outcome)
            return None
        if all(row.event == DETAILS or row.notification_id in still_due for row in intent.rows):
            return self._send(intent, outcome)
        return self._give_up(intent, outcome)

    def _give_up(self, intent: Intent, outcome: Outcome) -> DeliveryError | None:
        """End what may have arrived and is no longer true, and record that the rest is not sent."""
        try:
            if self._may_have_opened(intent):
                self._sink.withdraw(intent.payload)
            self._outbox.record(intent, Receipt(SUPERSEDED), self._clock(), "no longer true")
        except Refusal as problem:
            self._outbox.record(intent, Receipt(FAILED), self._clock(), problem.reason)
            return DeliveryError(f"{self._sink.name}: {problem.reason}", intent.channel, problem.next_command)
        except UnknownOutcome as problem:
            self._unknown(intent, problem, outcome)
        return None

    def _may_have_opened(self, intent: Intent) -> bool:
        """Whether it opens a signal of which nothing was sent since: a later message is about what is open now."""
        signals = {row.signal_key for row in intent.rows if row.event == "opened"}
        since = intent.first_created_at
        others = self._outbox.log(channel_folder(intent.channel)).intents.values()
        later = {row.signal_key for other in others if other.first_created_at > since for row in other.rows}
        return bool(signals) and signals.isdisjoint(later)

    def _follow_up(self, folder: str, outcome: Outcome) -> None:
        """Post the details of delivered messages in their threads, and update first messages to show what has ended."""
        tried: set[tuple[str, int]] = set()
        while True:
            due = next(
                (d for d in self._threads.due_details(folder) if (d.message.envelope_id, d.number) not in tried), None
            )
            if due is None:
                break
            tried.add((due.message.envelope_id, due.number))
            details = due.message.follow_up(due.number, due.attempt, due.place, self._clock())
            if due.is_repeat:
                details = msgspec.structs.replace(details, payload=marked_as_repeat(details.payload))
            if self._outbox.claim(folder, details):
                problem = self._send(details, outcome)
                outcome.failures += [problem] if problem else []
        for update in self._threads.due_updates(folder):
            self._threads.show(folder, update)

    def _send(self, intent: Intent, outcome: Outcome) -> DeliveryError | None:
        """Post and record; returns the error where the sink refused it."""
        try:
            posted = self._post(intent)
        except Refusal as problem:
            receipt = Receipt(FAILED, is_final=problem.is_final)
            self._outbox.record(intent, receipt, self._clock(), problem.reason)
            return DeliveryError(
                f"{self._sink.name} refused a message: {problem.reason}", intent.channel, problem.next_command
            )
        except UnknownOutcome as problem:
            self._unknown(intent, problem, outcome)
        else:
            self._delivered(intent, posted, outcome)
        return None

    def _delivered(self, intent: Intent, posted: PostedMessage, outcome: Outcome) -> None:
        self._outbox.record(intent, Receipt(DELIVERED, posted), self._clock())
        if not intent.is_details:
            outcome.messages += 1
            outcome.notifications += len(intent.rows)

    def _unknown(self, intent: Intent, problem: Exception, outcome: Outcome) -> None:
        outcome.unknown += 1
        what = f"it is unknown whether a message arrived: {problem}"
        _log.warning(
            "%s",
            error_text(
                what,
                intent.channel,
                "offdag notify    # in 15 minutes: it looks the message up, or marks it as a possible repeat",
            ),
        )

    def _post(self, intent: Intent) -> PostedMessage:
        """Post once; after a lost answer look the message up twice, and post again only where it did not arrive.

        Raises:
            Refusal: It did not arrive.
            UnknownOutcome: It may have arrived.
        """
        if self._clock() >= intent.lease_until:
            raise UnknownOutcome("the lease ended before it could be posted")
        try:
            return self._sink.post(intent.payload, intent.envelope_id)
        except UnknownOutcome:
            for seconds in (0.0, _LATE_SECONDS):
                self._pause(seconds)
                found = self._sink.find(intent.payload, intent.envelope_id, intent.first_created_at)
                if found is not None:
                    return found
        if self._clock() >= intent.lease_until:
            raise UnknownOutcome("the lease ended before it could be posted again")
        return self._sink.post(intent.payload, intent.envelope_id)

    def _checkpoint(self, folder: str) -> None:
        """Write a checkpoint over intents that need no more work; whatever becomes due for a settled thread gets a new intent."""
        open_updates = bool(self._threads.due_updates(folder))
        intents = self._outbox.log(folder).intents
        states = [
            (envelope_id, self._threads.is_settled(folder, intent) and not (intent.answered and open_updates))
            for envelope_id, intent in intents.items()
        ]
        self._outbox.write_checkpoint(folder, states, self._clock())


def _is_rate_limit(problem: DeliveryError) -> bool:
    """Whether Slack asked to wait: the answer stays due for its thread, and is not posted into the channel."""
    return "ratelimited" in problem.what
