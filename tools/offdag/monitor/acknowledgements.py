"""Acknowledgements: a person has seen an incident, so its reminders stop, or says why it ended. They are events of the history."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime

from offdag.errors import UsageError
from offdag.history.history import History
from offdag.monitor.mutes import SHORTEST_PREFIX
from offdag.monitor.rows import Incident, OpenMessage


@dataclass(frozen=True)
class Acknowledgement:
    """What a person says about an incident.

    Attributes:
        by: The person.
        note: More words. May be empty.
        until: Last day on which it holds (UTC, inclusive); None until the incident ends.
        resolution: Why it ends: fixed, expected, duplicate or false_positive; None where that is not given.
    """

    by: str
    note: str
    until: date | None
    resolution: str | None = None


def open_incident(key: str, incidents: Iterable[Incident]) -> Incident:
    """The open incident of a signal key, or of its first six or more characters.

    Raises:
        UsageError: There is none, or more than one.
    """
    return _newest(key, [row for row in incidents if row.is_open], "open incident", "offdag incidents")


def newest_incident(key: str, incidents: Iterable[Incident]) -> Incident:
    """The newest incident of a signal key, open or ended; the key may be its first six or more characters.

    Raises:
        UsageError: There is none, or they are of more than one signal.
    """
    return _newest(key, incidents, "incident", "offdag incidents --all")


def _newest(key: str, incidents: Iterable[Incident], what: str, command: str) -> Incident:
    found = [row for row in incidents if row.signal_key.startswith(key)]
    signals = {row.signal_key for row in found}
    if len(key) < SHORTEST_PREFIX or len(signals) != 1:
        problem = f"several {what}s have that key" if len(signals) > 1 else f"no {what} has that key"
        raise UsageError(problem, key, f"{command}    # shows the keys")
    return max(found, key=lambda row: row.started_at)


def acknowledge(
    history: History,
    incident: Incident | OpenMessage,
    acknowledgement: Acknowledgement,
    at: datetime,
    identity: str | None = None,
) -> None:
    """Record it; the next monitor run applies it.

    Args:
        history: Gets the row.
        incident: The incident.
        acknowledgement: By whom, why and until when.
        at: Naive UTC.
        identity: Key of the row; the same one again is not written. None for a new one.

    Raises:
        HistoryError: It cannot be written.
    """
    identity = identity or uuid.uuid4().hex
    row = {
        "acknowledgement_id": identity,
        "project": incident.project,
        "environment": incident.environment,
        "signal_key": incident.signal_key,
        "incident_started_at": incident.started_at,
        "incident_last_bad_at": incident.last_bad_at,
        "acknowledged_at": at,
        "acknowledged_by": acknowledgement.by,
        "note": " ".join(acknowledgement.note.split()) or None,
        "acknowledged_until": acknowledgement.until,
        "resolution": acknowledgement.resolution,
    }
    history.put("acknowledgements", at.date(), identity, [row])
