"""Lines of the seed alert_mutes.csv: which alerts are not sent for a while, and why."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from offdag.config_folder import seed_text
from offdag.errors import UsageError, first_line
from offdag.monitor.rows import Incident

# Of a signal key, as people type it.
SHORTEST_PREFIX = 6


@dataclass(frozen=True)
class Mute:
    """One line of the seed. One of key, kind and node is set.

    Attributes:
        signal_key: Key of one signal.
        kind: A kind of signal.
        node_id: unique_id of a node.
        until: Last day (UTC, inclusive).
        reason: Why.
    """

    until: date
    reason: str
    signal_key: str = ""
    kind: str = ""
    node_id: str = ""

    def line(self, columns: Sequence[str]) -> str:
        """The line of a seed with these columns, without its end.

        Raises:
            UsageError: The seed lacks a column that the mute needs.
        """
        cells = {
            "signal_key": self.signal_key,
            "kind": self.kind,
            "node_id": self.node_id,
            "muted_until": self.until.isoformat(),
            "reason": " ".join(self.reason.split()),
        }
        missing = [name for name, cell in cells.items() if cell and name not in columns]
        if missing:
            what = f"the seed has no column {', '.join(missing)}"
            raise UsageError(what, "alert_mutes.csv", "offdag mute    # after adding it to the first line of the file")
        text = io.StringIO()
        csv.writer(text, lineterminator="").writerow([cells.get(name, "") for name in columns])
        return text.getvalue()


def mute(target: str, until: date, reason: str, incidents: Iterable[Incident], kinds: Set[str]) -> Mute:
    """The mute of a target.

    Args:
        target: A signal_key or its first six or more characters, a node's unique_id, or a kind.
        until: Last day.
        reason: Why.
        incidents: What can be muted by its key or node.
        kinds: Kinds of signals.

    Raises:
        UsageError: The target is unknown or ambiguous.
    """
    if target in kinds:
        return Mute(until, reason, kind=target)
    if "." in target:
        if target not in {incident.node_id for incident in incidents}:
            raise UsageError("no incident belongs to that node", target, "offdag incidents --all --format json")
        return Mute(until, reason, node_id=target)
    found = {incident.signal_key for incident in incidents if incident.signal_key.startswith(target)}
    if len(found) != 1 or len(target) < SHORTEST_PREFIX:
        what = "several keys begin with that, or it is too short" if found else "no incident has that key"
        raise UsageError(what, target, "offdag incidents --all")
    return Mute(until, reason, signal_key=found.pop())


def last_day(text: str, today: date, command: str) -> date:
    """The last day of a mute or an acknowledgement, from an ISO date.

    Raises:
        UsageError: It is not a date, or is in the past.
    """
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise UsageError("the last day is not an ISO date", f"--until {text}", f"{command} --until {today}") from None
    if day < today:
        raise UsageError("the last day is over", f"--until {text}", f"{command} --until {today}")
    return day


def append_mute(seed: Path, existing: Path, line: str) -> bool:
    """Append a line to the seed; False where the seed has it already.

    Args:
        seed: The user's file; it is made where there is none.
        existing: The file that is in use: the user's, or the default one with the header alone.
        line: Without its end.

    Raises:
        UsageError: The file cannot be read or written.
    """
    text = seed_text(existing)
    if line in text.splitlines():
        return False
    try:
        seed.parent.mkdir(parents=True, exist_ok=True)
        with seed.open("w" if seed != existing else "a", encoding="utf-8") as file:
            lead = text if seed != existing else ""
            file.write(lead + (line + "\n" if text.endswith("\n") else f"\n{line}\n"))
    except OSError as error:
        raise UsageError(f"the mute cannot be written: {first_line(error)}", str(seed), f"file {seed}") from error
    return True
