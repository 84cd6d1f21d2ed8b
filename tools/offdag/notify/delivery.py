"""Delivery: each due notification is claimed, posted and recorded: at least once, and exactly once where the sink can look up messages."""

from __future__ import annotations

import hashlib
import logging
import time
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta

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

_log = logging.getLogger(__name__)

# Slack may accept a post after its sender stopped waiting for the answer.
_LATE_SECONDS = 5.0
# Details and updates that Slack keeps refusing are given up after this.
_RETRIED_FOR = timedelta(days=7)
_ENDED = ("resolved", "closed")


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


@dataclass(frozen=True)
class _DueDetails:
    """Details that are not in the thread of their message yet; ``is_repeat`` where an earlier attempt may be."""

    message: Intent
    number: int
    attempt: int
    place: PostedMessage
    is_repeat: bool

    @property
    def envelope_id(self) -> str:
        return self.message.detail_id(self.number, self.attempt)


@dataclass(frozen=True)
class _Update:
    """What a first message has to show, by what ended in its thread."""

    first: Intent
    update_id: str
    rows: list[DueNotification]
    place: PostedMessage


class Delivery:
    """Delivers due notifications to one sink.

    Args:
        history: Holds intents and receipts.
        sink: Gets the messages.
        clock: Returns the current time.
        pause: Waits for some seconds.
    """

    def __init__(
        self, history: History, sink: Sink, clock: Clock = utc_now, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self._outbox = Outbox(history, sink.name)
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
        """Split a channel's rows into messages: one for all that is new, one for each thread that is answered."""
        threads: dict[tuple[str, str] | None, list[DueNotification]] = {}
        for row in rows:
            channel, ts = row.opened_message_channel, row.opened_message_ts
            answers = row.event != "opened" and self._sink.has_threads and row.notification_id not in threadless
            threads.setdefault((channel, ts) if answers and channel and ts else None, []).append(row)
        return [
            (group, build_message(group), PostedMessage(*key) if key else None)
            for key, group in sorted(threads.items(), key=lambda item: item[0] or ("", ""))
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
        self._outbox.record(intent, Receipt(SUPERSEDED), self._clock(), "no longer true")
        return None

    def _follow_up(self, folder: str, outcome: Outcome) -> None:
        """Post the details of delivered messages in their threads, and update first messages to show what has ended."""
        tried: set[tuple[str, int]] = set()
        while True:
            due = next((d for d in self._due_details(folder) if (d.message.envelope_id, d.number) not in tried), None)
            if due is None:
                break
            tried.add((due.message.envelope_id, due.number))
            details = due.message.follow_up(due.number, due.attempt, due.place, self._clock())
            if due.is_repeat:
                details = msgspec.structs.replace(details, payload=marked_as_repeat(details.payload))
            if self._outbox.claim(folder, details):
                problem = self._send(details, outcome)
                outcome.failures += [problem] if problem else []
        for update in self._due_updates(folder):
            self._update(folder, update)

    def _due_details(self, folder: str) -> list[_DueDetails]:
        """Details of delivered messages that were not claimed yet, or whose last attempt was refused or may not have arrived."""
        log = self._outbox.log(folder)
        found = []
        for intent in log.intents.values():
            receipt = self._outbox.receipt_of(intent)
            if receipt is None or not receipt.is_delivered or self._is_old(intent):
                continue
            for number in range(len(intent.details)):
                last = log.last_attempt(intent, number)
                outcome = self._outbox.receipt_of(last) if last else None
                if last is None:
                    found.append(_DueDetails(intent, number, 0, receipt.posted, is_repeat=False))
                elif outcome is not None and not outcome.is_settled:
                    attempt = log.attempts(intent, number)
                    found.append(_DueDetails(intent, number, attempt, receipt.posted, outcome.outcome == UNKNOWN))
        return found

    def _is_old(self, intent: Intent) -> bool:
        return intent.first_created_at < self._clock() - _RETRIED_FOR

    def _due_updates(self, folder: str) -> list[_Update]:
        """First messages that do not show yet what ended in their threads lately."""
        threads = {
            intent.thread_ts
            for intent in self._outbox.log(folder).intents.values()
            if intent.thread_ts and not intent.is_details and self._is_delivered(intent) and not self._is_old(intent)
        }
        updates = (self._update_of(folder, ts) for ts in sorted(filter(None, threads)))
        return [u for u in updates if u and not self._outbox.is_updated(u.first, u.update_id)]

    def _update_of(self, folder: str, ts: str) -> _Update | None:
        """What the first message of a thread has to show; None where nothing ended, or the message is not in the log."""
        found = self._first_message(folder, ts)
        ended = {row.signal_key: row for row in self._answers(folder, ts) if row.event in _ENDED}
        if found is None or not ended:
            return None
        first, place = found
        keys = "|".join(f"{key}:{row.ended_at}" for key, row in sorted(ended.items()))
        update_id = f"{first.envelope_id}-update-{hashlib.sha256(keys.encode()).hexdigest()[:12]}"
        return _Update(first, update_id, [_ended(row, ended) for row in first.rows], place)

    def _first_message(self, folder: str, ts: str) -> tuple[Intent, PostedMessage] | None:
        """The first message of a thread; None where it is too old, or not from this log."""
        log = self._outbox.log(folder)
        for intent in log.intents.values():
            receipt = self._outbox.receipt_of(intent)
            if receipt and receipt.is_delivered and receipt.posted.ts == ts and not intent.thread_ts:
                return intent, receipt.posted
        for message in log.settled:
            if message.ts == ts and not message.thread_ts:
                return self._outbox.read(folder, message.number), PostedMessage(message.channel, message.ts)
        return None

    def _answers(self, folder: str, ts: str) -> list[DueNotification]:
        """What was delivered in a thread."""
        log = self._outbox.log(folder)
        settled = [self._outbox.read(folder, m.number) for m in log.settled if m.thread_ts == ts]
        new = [i for i in log.intents.values() if i.thread_ts == ts and self._is_delivered(i)]
        return [row for intent in (*settled, *new) for row in intent.rows]

    def _is_delivered(self, intent: Intent) -> bool:
        receipt = self._outbox.receipt_of(intent)
        return receipt is not None and receipt.is_delivered

    def _update(self, folder: str, update: _Update) -> None:
        """Change a first message. The change stays due until it succeeds or is refused for good; the thread shows the end already."""
        first = update.first
        try:
            self._sink.update(update.place, build_message(update.rows), first.envelope_id)
        except Refusal as problem:
            _log.warning(
                "the first message in %s still shows as open what has ended: %s", first.channel, problem.reason
            )
            if problem.is_final:
                receipt = Receipt(FAILED, update.place, is_final=True)
                self._outbox.record_update(first, update.update_id, receipt, self._clock(), problem.reason)
            return
        except UnknownOutcome as problem:
            _log.warning("the first message in %s may still show as open what has ended: %s", first.channel, problem)
            return
        self._outbox.record_update(first, update.update_id, Receipt(DELIVERED, update.place), self._clock(), None)
        # Another sender may have shown more in the meantime, and this update have replaced it.
        self._outbox.forget(folder)
        newest = self._update_of(folder, str(update.place.ts))
        if newest is not None and newest.update_id != update.update_id:
            self._update(folder, newest)

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
        open_updates = bool(self._due_updates(folder))
        intents = self._outbox.log(folder).intents
        states = [
            (envelope_id, self._is_settled(folder, intent) and not (intent.thread_ts and open_updates))
            for envelope_id, intent in intents.items()
        ]
        self._outbox.write_checkpoint(folder, states, self._clock())

    def _is_settled(self, folder: str, intent: Intent) -> bool:
        """Whether an intent and its details have an outcome that nothing changes."""
        receipt = self._outbox.receipt_of(intent)
        if receipt is None:
            return False
        if self._is_old(intent) or not intent.details or not receipt.is_delivered:
            return self._is_old(intent) or receipt.outcome != UNKNOWN
        log = self._outbox.log(folder)
        lasts = [log.last_attempt(intent, number) for number in range(len(intent.details))]
        outcomes = [self._outbox.receipt_of(last) for last in lasts if last]
        return len(outcomes) == len(lasts) and all(outcome and outcome.is_settled for outcome in outcomes)


def _ended(row: DueNotification, ended: dict[str, DueNotification]) -> DueNotification:
    """A row of a first message as it ended; unchanged while it is open."""
    end = ended.get(row.signal_key)
    if end is None:
        return row
    return msgspec.structs.replace(row, event=end.event, ended_at=end.ended_at, closed_reason=end.closed_reason)


def _is_rate_limit(problem: DeliveryError) -> bool:
    """Whether Slack asked to wait: the answer stays due for its thread, and is not posted into the channel."""
    return "ratelimited" in problem.what
