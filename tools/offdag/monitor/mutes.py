"""Lines of the seed alert_mutes.csv: what is not announced for a while, and why."""

from __future__ import annotations

import csv
import io
from datetime import date
from pathlib import Path
from typing import Any

from offdag.errors import UsageError

Row = dict[str, Any]

_SHORTEST_PREFIX = 6


def mute_line(incidents: list[Row], kinds: set[str], target: str, until: str, reason: str, today: date) -> str:
    """The line that mutes a thing, a node or a kind.

    Args:
        incidents: Rows of ``fct_incidents``: what can be muted by its key, or the beginning of it.
        kinds: Kinds of signals.
        target: A signal_key or its first six or more characters, a node's unique_id, or a kind.
        until: Last day, as ISO date (UTC, inclusive).
        reason: Why.
        today: The day is not before it.

    Raises:
        UsageError: The target is unknown or ambiguous, or the date is none or over.
    """
    try:
        last_day = date.fromisoformat(until)
    except ValueError:
        raise UsageError(
            "the last day is not an ISO date", f"--until {until}", "offdag mute KEY --until 2026-01-31"
        ) from None
    if last_day < today:
        raise UsageError("the last day is over", f"--until {until}", f"offdag mute {target} --until {today}")
    key, kind, node = "", "", ""
    if target in kinds:
        kind = target
    elif "." in target:
        node = target
        if node not in {row["node_id"] for row in incidents}:
            raise UsageError("no incident is of that node", target, "offdag incidents --all --format json")
    else:
        found = {row["signal_key"] for row in incidents if row["signal_key"].startswith(target)}
        if len(found) != 1 or len(target) < _SHORTEST_PREFIX:
            what = "no incident has that key" if not found else "that is the beginning of several keys, or too short"
            raise UsageError(what, target, "offdag incidents --all")
        [key] = found
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([key, kind, node, last_day.isoformat(), " ".join(reason.split())])
    return text.getvalue().rstrip("\n")


def append_mute(seed: Path, line: str) -> bool:
    """Append a line to the seed; False where it is there already.

    Raises:
        UsageError: The file cannot be read or written.
    """
    try:
        held = seed.read_text(encoding="utf-8")
        if line in held.splitlines():
            return False
        with seed.open("a", encoding="utf-8") as file:
            file.write(line + "\n" if held.endswith("\n") else f"\n{line}\n")
    except OSError as error:
        raise UsageError(
            f"the mute cannot be written: {error.strerror}", str(seed), "add the line to the file by hand"
        ) from error
    return True
