"""The log of intents: which sender may post what, decided by exclusive creation of numbered files.

A sender reads the log of a channel, leaves out what is claimed already, and creates the next number; only one of several senders
succeeds, and the others read again. So no notification is in two live intents, however the sets that are due overlap. Taking over an
expired intent is one more entry of the same envelope. Once everything up to a number is settled, a checkpoint replaces the reading of
those entries.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

import msgspec

from offdag.history.history import History, path_part
from offdag.history.intents import IntentFiles
from offdag.monitor.rows import DueNotification
from offdag.notify.sinks import NO_PLACE, Payload, PostedMessage

# Far longer than sending can take: Slack's time-outs and rate-limit pauses add up to about five minutes.
LEASE = timedelta(minutes=10)
# How far the clocks of two senders may differ: a lease is taken over this much later.
CLOCK_DIFFERENCE = timedelta(minutes=5)
# Answers and updates of older messages start a new message instead.
_KEPT = timedelta(days=90)
_CHECKPOINT_EVERY = 20

DELIVERED, FAILED, SUPERSEDED, UNKNOWN = "delivered", "failed", "superseded", "unknown"
DETAILS, UPDATE = "details", "update"


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """One entry of a log: the claim to post an envelope until its lease ends.

    Attributes:
        envelope_id: Key of the message.
        sink: Name of the sink.
        channel: As the route names it.
        payload: Frozen content.
        rows: Its notifications, as they were when it was claimed.
        first_created_at: When the envelope was first claimed: a lookup in Slack begins there (naive UTC).
        lease_until: End of the claim (naive UTC).
        details: Frozen contents of what follows in its thread.
    """

    envelope_id: str
    sink: str
    channel: str
    payload: Payload
    rows: list[DueNotification]
    first_created_at: datetime
    lease_until: datetime
    details: list[Payload] = []

    @property
    def thread_ts(self) -> str | None:
        """The message that it answers; None for a message in the channel."""
        return self.payload.get("thread_ts")

    @property
    def answered(self) -> frozenset[str]:
        """The first messages of which it shows an end or a reminder, also where it could not be put in their threads."""
        ends = (row for row in self.rows if row.event not in ("opened", DETAILS))
        return frozenset(row.opened_message_ts for row in ends if row.opened_message_ts)

    @property
    def is_details(self) -> bool:
        return any(row.event == DETAILS for row in self.rows)

    def renewed(self, now: datetime) -> Intent:
        """The same claim by another sender."""
        return msgspec.structs.replace(self, lease_until=now + LEASE)

    def follow_up(self, number: int, attempt: int, posted: PostedMessage, now: datetime) -> Intent:
        """The claim to post one of the details in the thread of this message; its id follows from this one's."""
        envelope_id = self.detail_id(number, attempt)
        place = {"channel": posted.channel, "thread_ts": posted.ts}
        return Intent(
            envelope_id=envelope_id,
            sink=self.sink,
            channel=self.channel,
            payload={**self.details[number], **place},
            rows=[msgspec.structs.replace(self.rows[0], notification_id=envelope_id, event=DETAILS)],
            first_created_at=now,
            lease_until=now + LEASE,
        )

    def detail_id(self, number: int, attempt: int) -> str:
        """The envelope of an attempt: each has its own receipt."""
        return f"{self.envelope_id}-{number:02d}" + (f"-{attempt}" if attempt else "")


@dataclass(frozen=True)
class Receipt:
    """The outcome of an envelope.

    Attributes:
        outcome: delivered, failed (refused, it is due again), superseded (it did not arrive, and is no longer all true) or unknown
            (it may have arrived, and cannot be looked up: what is due of it is sent again, marked).
        posted: Its place, where the sink has one.
        is_final: A refusal that no later attempt changes.
    """

    outcome: str
    posted: PostedMessage = NO_PLACE
    is_final: bool = False

    @property
    def is_delivered(self) -> bool:
        return self.outcome == DELIVERED

    @property
    def is_settled(self) -> bool:
        """Whether no later attempt follows."""
        return self.is_delivered or self.is_final


class SettledMessage(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint keeps of a delivered message.

    Attributes:
        number: Number of its newest intent.
        created_at: When it was first claimed, naive UTC.
        notification_ids: Notifications that it delivered.
        channel: Slack's id of the channel; None for other sinks.
        ts: Slack's id of the message.
        thread_ts: The message that it answers; None for a message in the channel.
        answered: The first messages of which it shows an end or a reminder, wherever it is.
    """

    number: int
    created_at: datetime
    notification_ids: list[str]
    channel: str | None
    ts: str | None
    thread_ts: str | None
    answered: list[str] = []

    def answers(self, ts: str) -> bool:
        """Whether it shows an end or a reminder of a first message; checkpoints of older releases know only the thread."""
        return ts in self.answered or ts == self.thread_ts


@dataclass
class Log:
    """A channel's log.

    Attributes:
        intents: The latest intent of each envelope after the checkpoint.
        numbers: Number of that intent, by envelope.
        first_numbers: Number of the first intent, by envelope.
        settled: What the checkpoint holds.
        checkpoint: Its number.
        number: Number of the last entry.
    """

    intents: dict[str, Intent] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    first_numbers: dict[str, int] = field(default_factory=dict)
    settled: list[SettledMessage] = field(default_factory=list)
    checkpoint: int = 0
    number: int = 0

    def add(self, number: int, intent: Intent) -> None:
        """Add the entry after the last one."""
        self.intents[intent.envelope_id] = intent
        self.numbers[intent.envelope_id] = self.number = number
        self.first_numbers.setdefault(intent.envelope_id, number)

    def attempts(self, intent: Intent, number: int) -> int:
        """How often one of the details of a message was claimed."""
        return next(n for n in itertools.count() if intent.detail_id(number, n) not in self.intents)

    def last_attempt(self, intent: Intent, number: int) -> Intent | None:
        """The last claim of one of the details of a message."""
        return self.intents.get(intent.detail_id(number, max(self.attempts(intent, number) - 1, 0)))


class Outbox:
    """The intents and receipts of one sink. What was read is cached until another sender turns out to be active.

    Args:
        history: Holds both.
        sink: Its name.
    """

    def __init__(self, history: History, sink: str) -> None:
        self._history = history
        self._sink = sink
        self._files = IntentFiles(history, sink)
        self._logs: dict[str, Log] = {}
        self._receipts: dict[date, dict[str, Receipt]] = {}

    def channels(self) -> list[str]:
        """Log folders that exist."""
        return self._files.channels()

    def log(self, folder: str) -> Log:
        """A channel's log: the newest checkpoint, and the intents after it.

        Raises:
            HistoryError: An entry cannot be read.
        """
        if folder not in self._logs:
            log = Log()
            log.checkpoint, content = self._files.newest_checkpoint(folder)
            log.number = log.checkpoint
            if content is not None:
                log.settled = self._decoded(folder, log.checkpoint, content, list[SettledMessage])
            for number in self._files.numbers_after(folder, log.checkpoint):
                log.add(number, self.read(folder, number))
            self._logs[folder] = log
        return self._logs[folder]

    def read(self, folder: str, number: int) -> Intent:
        """One entry of a log, also one before the checkpoint.

        Raises:
            HistoryError: It cannot be read.
        """
        intent: Intent = self._decoded(folder, number, self._files.read(folder, number), Intent)
        return intent

    def forget(self, folder: str) -> None:
        """Read a channel's log and the receipts again when they are next needed."""
        self._logs.pop(folder, None)
        self._receipts.clear()

    def receipt_of(self, intent: Intent) -> Receipt | None:
        """The receipt of an envelope; None while its outcome is unknown."""
        return self._receipts_of(intent.first_created_at.date()).get(intent.envelope_id)

    def is_updated(self, first: Intent, update_id: str) -> bool:
        """Whether a first message shows an update, or never will."""
        return update_id in self._receipts_of(first.first_created_at.date())

    def uncertain_ids(self, folder: str) -> set[str]:
        """Notifications that may have arrived already: what is sent of them now is marked."""
        return {
            row.notification_id
            for intent in self.log(folder).intents.values()
            if (receipt := self.receipt_of(intent)) and receipt.outcome == UNKNOWN
            for row in intent.rows
        }

    def claimed_ids(self, folder: str) -> set[str]:
        """Notifications that no new intent may claim: delivered ones, and those of intents without an outcome."""
        log = self.log(folder)
        claimed = {i for message in log.settled for i in message.notification_ids}
        for intent in log.intents.values():
            receipt = self.receipt_of(intent)
            if receipt is None or receipt.is_delivered:
                claimed |= {row.notification_id for row in intent.rows}
        return claimed

    def new_intent(
        self, folder: str, rows: Sequence[DueNotification], payload: Payload, details: list[Payload], now: datetime
    ) -> Intent:
        """The next claim on rows of one channel that no other intent has claimed."""
        number = self.log(folder).number + 1
        key = f"{self._sink}|{folder}|{number}|" + "|".join(sorted(row.notification_id for row in rows))
        return Intent(
            envelope_id=hashlib.sha256(key.encode()).hexdigest()[:32],
            sink=self._sink,
            channel=rows[0].channel,
            payload=payload,
            rows=list(rows),
            first_created_at=now,
            lease_until=now + LEASE,
            details=details,
        )

    def claim(self, folder: str, intent: Intent) -> bool:
        """Append an intent to the log as it was read; False where another sender took its place: then the log is read again."""
        log = self.log(folder)
        content = msgspec.json.format(msgspec.json.encode(intent), indent=1)
        if not self._files.create(folder, log.number + 1, content):
            self.forget(folder)
            return False
        log.add(log.number + 1, intent)
        return True

    def record(self, intent: Intent, receipt: Receipt, now: datetime, reason: str | None = None) -> None:
        """Record the outcome of an intent, for all of its notifications."""
        day = intent.first_created_at.date()
        self._receipts_of(day)[intent.envelope_id] = receipt
        shared = self._shared(intent.envelope_id, intent.channel, receipt, now, reason)
        self._put(day, intent.rows, shared)

    def record_update(self, first: Intent, update_id: str, receipt: Receipt, now: datetime, reason: str | None) -> None:
        """Record that a first message shows what ended, or never will."""
        day = first.first_created_at.date()
        self._receipts_of(day)[update_id] = receipt
        row = msgspec.structs.replace(first.rows[0], notification_id=update_id, event=UPDATE)
        self._put(day, [row], self._shared(update_id, first.channel, receipt, now, reason))

    def write_checkpoint(self, folder: str, is_settled: Iterable[tuple[str, bool]], now: datetime) -> None:
        """Write a checkpoint over the entries that need no more work, where there are enough of them.

        Args:
            folder: The channel's log folder.
            is_settled: Each envelope after the last checkpoint, and whether it needs no more work.
            now: Messages that are too old to be answered leave the checkpoint; their files stay.
        """
        log = self.log(folder)
        open_numbers = [log.first_numbers[envelope] for envelope, settled in is_settled if not settled]
        number = min(open_numbers, default=log.number + 1) - 1
        if number - log.checkpoint < _CHECKPOINT_EVERY:
            return
        new = []
        for envelope_id, intent in log.intents.items():
            receipt = self.receipt_of(intent)
            if log.numbers[envelope_id] <= number and receipt and receipt.is_delivered:
                new.append(
                    SettledMessage(
                        number=log.numbers[envelope_id],
                        created_at=intent.first_created_at,
                        notification_ids=[row.notification_id for row in intent.rows],
                        channel=receipt.posted.channel,
                        ts=receipt.posted.ts,
                        thread_ts=intent.thread_ts,
                        answered=sorted(intent.answered),
                    )
                )
        kept = [message for message in (*log.settled, *new) if message.created_at > now - _KEPT]
        self._files.write_checkpoint(folder, number, msgspec.json.encode(kept))

    def _receipts_of(self, day: date) -> dict[str, Receipt]:
        """Receipts of the envelopes that were first claimed on a date, by envelope."""
        if day not in self._receipts:
            columns = ["envelope_id", "sink", "outcome", "is_final", "message_channel", "message_ts"]
            self._receipts[day] = {
                row["envelope_id"]: Receipt(
                    row["outcome"], PostedMessage(row["message_channel"], row["message_ts"]), bool(row["is_final"])
                )
                for row in self._history.read_day("deliveries", day, columns).to_pylist()
                if row["sink"] == self._sink
            }
        return self._receipts[day]

    def _shared(
        self, identity: str, channel: str, receipt: Receipt, now: datetime, reason: str | None
    ) -> dict[str, Any]:
        """What all rows of a receipt have in common."""
        return {
            "envelope_id": identity,
            "sink": self._sink,
            "channel": channel,
            "outcome": receipt.outcome,
            "is_final": receipt.is_final,
            "reason": reason,
            "delivered_at": now,
            "message_channel": receipt.posted.channel,
            "message_ts": receipt.posted.ts,
        }

    def _put(self, day: date, rows: Sequence[DueNotification], shared: dict[str, Any]) -> None:
        self._history.put(
            "deliveries",
            day,
            shared["envelope_id"],
            (
                {
                    "notification_id": row.notification_id,
                    "signal_key": row.signal_key,
                    "event": row.event,
                    "severity": row.severity,
                    "incident_started_at": row.started_at,
                    "incident_last_bad_at": row.last_bad_at,
                }
                for row in rows
            ),
            shared,
        )

    def _decoded(self, folder: str, number: int, content: bytes, kind: Any) -> Any:
        try:
            return msgspec.json.decode(content, type=kind)
        except msgspec.MsgspecError as error:
            raise self._files.damaged(folder, number, error) from error


def channel_folder(channel: str) -> str:
    """The log folder of a channel."""
    return path_part(channel)
