"""The log of intents: who may post what, decided by exclusive creation of numbered files.

Each channel of a sink has a log ``intents/<sink>/<channel>/<number>.json``. A sender reads the whole log, leaves out what it already
holds, and creates the next number; of several senders one alone succeeds, and the others read again. So no notification is in two
live intents, however the sets that are due overlap. Taking over an expired intent is one more entry of the same envelope.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from offdag.clock import utc_now
from offdag.errors import HistoryError
from offdag.history.history import History, path_part
from offdag.notify.sinks import Posted

Row = dict[str, Any]

# Far longer than sending can take: Slack's time-outs and rate-limit pauses add up to about five minutes.
LEASE = timedelta(minutes=10)
# Marts older than a day are not told, so an intent of this age is either delivered or given up.
_KEPT = timedelta(days=90)


@dataclass(frozen=True)
class Intent:
    """One entry of a log: the claim to post an envelope until its lease ends.

    Attributes:
        envelope_id: Key of the message.
        rows: The rows of ``fct_notifications_due`` in it, as they were known; instants as ISO texts.
        payload: Frozen content.
        details: Frozen contents of what follows in its thread.
        first_created_at: When the envelope was first claimed: a look into Slack begins there (naive UTC, ISO).
        lease_until: Naive UTC, ISO.
    """

    envelope_id: str
    sink: str
    channel: str
    payload: Row
    rows: list[Row]
    first_created_at: str
    lease_until: str
    details: list[Row] = field(default_factory=list)

    def is_expired(self, now: datetime) -> bool:
        return now >= datetime.fromisoformat(self.lease_until)

    def renewed(self, now: datetime) -> Intent:
        """The same claim by another sender."""
        return replace(self, lease_until=(now + LEASE).isoformat())

    def follow_up(self, number: int, posted: Posted, now: datetime) -> Intent:
        """The claim to post one of the details in the thread of this message. Its id follows from this one's."""
        envelope_id = self.detail_id(number)
        row = {**self.rows[0], "notification_id": envelope_id, "event": "details"}
        place = {"channel": posted.channel, "thread_ts": posted.ts}
        payload = {**self.details[number], **place}
        return Intent(envelope_id, self.sink, self.channel, payload, [row], now.isoformat(), (now + LEASE).isoformat())

    def detail_id(self, number: int) -> str:
        return f"{self.envelope_id}-{number:02d}"


@dataclass(frozen=True)
class Receipt:
    """What became of an envelope: ``delivered``, with its place where the sink tells one, or ``failed``."""

    outcome: str
    posted: Posted


@dataclass
class Log:
    """A channel's log as it was read: the latest intent of each envelope, and the number of the last entry."""

    intents: dict[str, Intent]
    number: int


class Outbox:
    """The intents and receipts of one sink. What was read is kept until another sender proves to be at work.

    Args:
        history: Holds both.
        sink: Its name.
    """

    def __init__(self, history: History, sink: str) -> None:
        self._history = history
        self._sink = sink
        self._logs: dict[str, Log] = {}
        self._receipts: dict[str, Receipt] | None = None

    def channels(self) -> list[str]:
        """Log folders that exist."""
        return sorted(
            {name.split("/")[2] for name in self._history.store.glob(f"intents/{path_part(self._sink)}/*/*.json")}
        )

    def log(self, folder: str) -> Log:
        """A channel's log, but for entries older than any message that is still spoken of.

        Raises:
            HistoryError: An entry cannot be read.
        """
        if folder not in self._logs:
            names = self._history.store.glob(f"intents/{path_part(self._sink)}/{folder}/*.json")
            newest: dict[str, Intent] = {}
            oldest = (utc_now() - _KEPT).isoformat()
            for name in reversed(names):
                intent = self._read(name)
                newest.setdefault(intent.envelope_id, intent)
                if intent.first_created_at < oldest:
                    break
            number = int(re.sub(r"\D", "", names[-1].rsplit("/", 1)[1])) if names else 0
            self._logs[folder] = Log(dict(reversed(newest.items())), number)
        return self._logs[folder]

    def forget(self, folder: str) -> None:
        """Read a channel's log and the receipts anew when they are next asked for."""
        self._logs.pop(folder, None)
        self._receipts = None

    def receipts(self) -> dict[str, Receipt]:
        """Receipts by envelope id."""
        if self._receipts is None:
            columns = ["envelope_id", "outcome", "message_channel", "message_ts"]
            self._receipts = {
                row["envelope_id"]: Receipt(row["outcome"], Posted(row["message_channel"], row["message_ts"]))
                for row in self._history.read("deliveries", columns).to_pylist()
            }
        return self._receipts

    def new_intent(
        self, folder: str, rows: Sequence[Row], channel: str, payload: Row, details: list[Row], now: datetime
    ) -> Intent:
        """The next claim on rows that no other intent holds."""
        number = self.log(folder).number + 1
        key = f"{self._sink}|{folder}|{number}|" + "|".join(sorted(row["notification_id"] for row in rows))
        return Intent(
            envelope_id=hashlib.sha256(key.encode()).hexdigest()[:32],
            sink=self._sink,
            channel=channel,
            payload=payload,
            rows=[{k: _plain(v) for k, v in row.items()} for row in rows],
            first_created_at=now.isoformat(),
            lease_until=(now + LEASE).isoformat(),
            details=details,
        )

    def claim(self, folder: str, intent: Intent) -> bool:
        """Append an intent to the log as it was read; False where another sender took its place: then the log is read anew."""
        log = self.log(folder)
        if not self._append(folder, log.number + 1, intent):
            self.forget(folder)
            return False
        log.number += 1
        log.intents[intent.envelope_id] = intent
        return True

    def receipt(
        self, intent: Intent, outcome: str, now: datetime, reason: str | None = None, posted: Posted | None = None
    ) -> None:
        """Record what became of an intent."""
        self.receipts()[intent.envelope_id] = Receipt(outcome, posted or Posted())
        self._history.put(
            "deliveries",
            datetime.fromisoformat(intent.first_created_at).date(),
            intent.envelope_id,
            (
                {
                    "envelope_id": intent.envelope_id,
                    "notification_id": told["notification_id"],
                    "signal_key": told["signal_key"],
                    "event": told["event"],
                    "severity": told["severity"],
                    "incident_started_at": datetime.fromisoformat(told["started_at"]),
                    "incident_last_bad_at": datetime.fromisoformat(told["last_bad_at"]),
                    "sink": self._sink,
                    "channel": intent.channel,
                    "outcome": outcome,
                    "reason": reason,
                    "delivered_at": now,
                    "message_channel": posted.channel if posted else None,
                    "message_ts": posted.ts if posted else None,
                }
                for told in intent.rows
            ),
        )

    def _read(self, name: str) -> Intent:
        try:
            return Intent(**json.loads(self._history.store.read(name)))
        except (ValueError, TypeError) as error:
            raise HistoryError(
                f"an intent is damaged: {error}",
                self._history.store.path(name),
                "move the file away, then offdag notify",
            ) from error

    def _append(self, folder: str, number: int, intent: Intent) -> bool:
        content = json.dumps(asdict(intent), ensure_ascii=False, indent=1).encode()
        return self._history.store.create(f"intents/{path_part(self._sink)}/{folder}/{number:08d}.json", content)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
