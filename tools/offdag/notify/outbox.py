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
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from offdag.errors import HistoryError
from offdag.history.history import History, path_part
from offdag.notify.sinks import Posted

Row = dict[str, Any]

# Far longer than sending can take: Slack's time-outs and rate-limit pauses add up to about five minutes.
LEASE = timedelta(minutes=10)


@dataclass(frozen=True)
class Intent:
    """One entry of a log: the claim to post an envelope until its lease ends.

    Attributes:
        envelope_id: Key of the message.
        rows: The rows of ``fct_notifications_due`` in it, as they were known; instants as ISO texts.
        payload: Frozen content.
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

    def is_expired(self, now: datetime) -> bool:
        return now >= datetime.fromisoformat(self.lease_until)


class Outbox:
    """The intents and receipts of one sink.

    Args:
        history: Holds both.
        sink: Its name.
    """

    def __init__(self, history: History, sink: str) -> None:
        self._history = history
        self._sink = sink

    def channels(self) -> list[str]:
        """Log folders that exist."""
        return sorted(
            {name.split("/")[2] for name in self._history.store.glob(f"intents/{path_part(self._sink)}/*/*.json")}
        )

    def intents(self, folder: str) -> tuple[list[Intent], int]:
        """The latest intent of each envelope in a channel's log, and the number of entries."""
        names = self._history.store.glob(f"intents/{path_part(self._sink)}/{folder}/*.json")
        latest: dict[str, Intent] = {}
        for name in names:
            try:
                intent = Intent(**json.loads(self._history.store.read(name)))
            except (ValueError, TypeError) as error:
                raise HistoryError(
                    f"an intent is damaged: {error}",
                    self._history.store.path(name),
                    "move the file away, then offdag notify",
                ) from error
            latest[intent.envelope_id] = intent
        return list(latest.values()), int(re.sub(r"\D", "", names[-1].rsplit("/", 1)[1])) if names else 0

    def claim(
        self, folder: str, number: int, rows: Sequence[Row], channel: str, payload: Row, now: datetime
    ) -> Intent | None:
        """Claim rows that no other intent holds as entry ``number``; None where another sender took that number."""
        key = f"{self._sink}|{folder}|{number}|" + "|".join(sorted(row["notification_id"] for row in rows))
        intent = Intent(
            envelope_id=hashlib.sha256(key.encode()).hexdigest()[:32],
            sink=self._sink,
            channel=channel,
            payload=payload,
            rows=[{k: _plain(v) for k, v in row.items()} for row in rows],
            first_created_at=now.isoformat(),
            lease_until=(now + LEASE).isoformat(),
        )
        return intent if self._append(folder, number, intent) else None

    def take_over(self, folder: str, number: int, expired: Intent, now: datetime) -> Intent | None:
        """Claim an envelope whose sender is gone; None where another sender took that number."""
        intent = Intent(**{**asdict(expired), "lease_until": (now + LEASE).isoformat()})
        return intent if self._append(folder, number, intent) else None

    def outcomes(self) -> dict[str, str]:
        """``delivered`` or ``failed`` by envelope id."""
        receipts = self._history.read("deliveries", ["envelope_id", "outcome"]).to_pylist()
        return {row["envelope_id"]: row["outcome"] for row in receipts}

    def receipt(
        self, intent: Intent, outcome: str, now: datetime, reason: str | None = None, posted: Posted | None = None
    ) -> None:
        """Record what became of an intent."""
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

    def _append(self, folder: str, number: int, intent: Intent) -> bool:
        content = json.dumps(asdict(intent), ensure_ascii=False, indent=1).encode()
        return self._history.store.create(f"intents/{path_part(self._sink)}/{folder}/{number:08d}.json", content)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
