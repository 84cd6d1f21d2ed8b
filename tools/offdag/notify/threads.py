"""What follows a delivered message: details in its thread, and the change that shows what has ended."""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import timedelta

import msgspec

from offdag.clock import Clock
from offdag.monitor.rows import DueNotification
from offdag.notify.message import build_message
from offdag.notify.outbox import DELIVERED, FAILED, UNKNOWN, Intent, Outbox, Receipt
from offdag.notify.sinks import PostedMessage, Refusal, Sink, UnknownOutcome

_log = logging.getLogger(__name__)

# Details and updates that Slack keeps refusing are given up after this.
_RETRIED_FOR = timedelta(days=7)
_ENDED = ("resolved", "closed")


@dataclass(frozen=True)
class DueDetails:
    """Details that are not in the thread of their message yet.

    Attributes:
        message: The delivered message.
        number: Which of its details.
        attempt: 0 for the first.
        place: Where the message is.
        is_repeat: An earlier attempt may have arrived.
    """

    message: Intent
    number: int
    attempt: int
    place: PostedMessage
    is_repeat: bool


@dataclass(frozen=True)
class Update:
    """What a first message has to show, by what ended.

    Attributes:
        first: The first message.
        update_id: Key of this content.
        rows: Its notifications, those that ended as such.
        place: Where the message is.
    """

    first: Intent
    update_id: str
    rows: list[DueNotification]
    place: PostedMessage


class Threads:
    """The threads of one sink's delivered messages.

    Args:
        outbox: Holds intents and receipts.
        sink: Has the messages.
        clock: Returns the current time.
        report_url: Where people open the report; None for messages without links to it.
    """

    def __init__(self, outbox: Outbox, sink: Sink, clock: Clock, report_url: str | None = None) -> None:
        self._report_url = report_url
        self._outbox = outbox
        self._sink = sink
        self._clock = clock

    def due_details(self, folder: str) -> list[DueDetails]:
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
                    found.append(DueDetails(intent, number, 0, receipt.posted, is_repeat=False))
                elif outcome is not None and not outcome.is_settled:
                    attempt = log.attempts(intent, number)
                    found.append(DueDetails(intent, number, attempt, receipt.posted, outcome.outcome == UNKNOWN))
        return found

    def due_updates(self, folder: str) -> list[Update]:
        """First messages that do not show yet what ended lately."""
        answered = {
            ts
            for intent in self._outbox.log(folder).intents.values()
            if not intent.is_details and self._is_delivered(intent) and not self._is_old(intent)
            for ts in intent.answered
        }
        updates = (self._update_of(folder, ts) for ts in sorted(answered))
        return [u for u in updates if u and not self._outbox.is_updated(u.first, u.update_id)]

    def _update_of(self, folder: str, ts: str) -> Update | None:
        """What a first message has to show; None where nothing ended, or the message is not in the log."""
        found = self._first_message(folder, ts)
        ended = {row.signal_key: row for row in self._answers(folder, ts) if row.event in _ENDED}
        if found is None or not ended:
            return None
        first, place = found
        keys = "|".join(f"{key}:{row.ended_at}" for key, row in sorted(ended.items()))
        update_id = f"{first.envelope_id}-update-{hashlib.sha256(keys.encode()).hexdigest()[:12]}"
        return Update(first, update_id, [_ended(row, ended) for row in first.rows], place)

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
        """What was delivered of the incidents of a first message, in its thread or, where that was refused, in the channel."""
        log = self._outbox.log(folder)
        settled = [self._outbox.read(folder, message.number) for message in log.settled if message.answers(ts)]
        new = [i for i in log.intents.values() if not i.is_details and ts in i.answered and self._is_delivered(i)]
        rows = (row for intent in (*settled, *new) for row in intent.rows)
        return [row for row in rows if row.opened_message_ts == ts]

    def _is_delivered(self, intent: Intent) -> bool:
        receipt = self._outbox.receipt_of(intent)
        return receipt is not None and receipt.is_delivered

    def show(self, folder: str, update: Update) -> None:
        """Change a first message. The change stays due until it succeeds or is refused for good; the thread shows the end already."""
        first = update.first
        try:
            self._sink.update(update.place, build_message(update.rows, self._report_url), first.envelope_id)
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
            self.show(folder, newest)

    def is_settled(self, folder: str, intent: Intent) -> bool:
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

    def _is_old(self, intent: Intent) -> bool:
        return intent.first_created_at < self._clock() - _RETRIED_FOR


def _ended(row: DueNotification, ended: dict[str, DueNotification]) -> DueNotification:
    """A row of a first message as it ended; unchanged while it is open."""
    end = ended.get(row.signal_key)
    if end is None:
        return row
    return msgspec.structs.replace(row, event=end.event, ended_at=end.ended_at, closed_reason=end.closed_reason)
