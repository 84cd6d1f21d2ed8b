"""A message as data: what is said, in which order, without any format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

Row = dict[str, Any]

# Problems that one message shows; the rest is a visible count.
MOST_PROBLEMS = 20

_STATE = {
    "node_failed": "FAILED",
    "test_failed": "FAILED",
    "source_stale": "STALE",
    "source_unchecked": "NOT CHECKED",
    "run_incomplete": "NOT BUILT",
    "run_missing": "MISSING",
    "model_slow": "SLOW",
    "test_flaky": "FLAKY",
    "schema_changed": "CHANGED",
    "volume_odd": "ODD VOLUME",
    "stockout": "OUT OF STOCK",
    "stock_low": "LOW STOCK",
}
_CLOSED = {
    "removed": "no longer checked, since it was removed",
    "replaced": "no longer checked, since another test took its place",
    "unobserved": "no longer checked, since nobody looked for a long time",
}


@dataclass(frozen=True)
class Problem:
    """One line of a message with its facts.

    Attributes:
        state: The word that comes first, such as FAILED or RESOLVED.
        title: A plain sentence.
        facts: Label and text, in order; empty ones are left out.
        mention: Slack user or group id; None mentions nobody.
    """

    state: str
    title: str
    facts: tuple[tuple[str, str], ...]
    mention: str | None


@dataclass(frozen=True)
class Message:
    """What is said at once in one channel.

    Attributes:
        heading: States, counts, project and environment: also the phone's notification.
        problems: The ones shown, the worst first.
        hidden_count: Problems that are not shown.
        is_possible_repeat: An earlier attempt may have arrived.
    """

    heading: str
    problems: tuple[Problem, ...]
    hidden_count: int = 0
    is_possible_repeat: bool = False


def build_message(rows: Sequence[Row]) -> Message:
    """The message for some rows of ``fct_notifications_due``, at least one."""
    ordered = sorted(rows, key=_urgency)
    problems = tuple(_problem(row) for row in ordered[:MOST_PROBLEMS])
    return Message(_heading(ordered), problems, max(0, len(ordered) - MOST_PROBLEMS))


def _urgency(row: Row) -> tuple[Any, ...]:
    ended = row["event"] in ("resolved", "closed")
    return ended, row["severity"] != "error", row["kind"], row["title"], row["signal_key"]


def _state(row: Row) -> str:
    if row["event"] == "resolved":
        return "RESOLVED"
    if row["event"] == "closed":
        return "CLOSED"
    state = (
        "WARNS" if row["kind"] == "test_failed" and row["severity"] == "warning" else _STATE.get(row["kind"], "BROKEN")
    )
    return f"STILL {state}" if row["event"] == "reminder" else state


def _heading(rows: Sequence[Row]) -> str:
    counts: dict[str, int] = {}
    for row in rows:
        counts[_state(row)] = counts.get(_state(row), 0) + 1
    said = ", ".join(f"{count} {state}" if len(rows) > 1 else state for state, count in counts.items())
    places = sorted({f"{row['project']} ({row['environment']})" for row in rows})
    where = ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
    prefix = "First look: " if all(row["is_first_look"] for row in rows) else ""
    only = f": {rows[0]['title']}" if len(rows) == 1 else ""
    return f"{prefix}{said} in {where}{only}"


def _problem(row: Row) -> Problem:
    evidence = json.loads(row["evidence"] or "{}")
    facts: list[tuple[str, str | None]] = [("Since", _minute(row["started_at"]))]
    title = row["title"]
    if row["event"] == "resolved":
        title += f": over after {_duration(row['started_at'], row['ended_at'])}"
    elif row["event"] == "closed":
        title += f": {_CLOSED.get(row['closed_reason'] or '', 'no longer checked')}"
    else:
        seen = f", seen {row['bad_count']} times" if row["bad_count"] > 1 else ""
        facts = [
            ("What", row["detail"]),
            ("Since", _minute(row["started_at"]) + seen),
            ("Took down", _impact(evidence)),
            ("Owner", row["owner"]),
            ("Where", evidence.get("path") or evidence.get("ci_url")),
            ("Next", _next_command(row)),
        ]
    return Problem(
        _state(row),
        title,
        tuple((label, text) for label, text in facts if text),
        row["mention"] if row["event"] in ("opened", "reminder") else None,
    )


def _impact(evidence: Row) -> str | None:
    skipped, exposures = evidence.get("skipped_models"), evidence.get("exposures")
    parts = [f"{skipped} model{'s' if skipped != 1 else ''} skipped"] if skipped else []
    return "; ".join(parts + ([f"exposures: {exposures}"] if exposures else [])) or None


def _next_command(row: Row) -> str | None:
    node = (row["node_id"] or "").split(".")
    if row["kind"] in ("node_failed", "test_failed"):
        return f"dbt build --select {node[2]}+" if row["kind"] == "node_failed" and len(node) > 2 else "dbt retry"
    if row["kind"] == "source_stale" and len(node) > 3:
        return f"dbt source freshness --select source:{node[2]}.{node[3]}"
    if row["kind"] == "run_incomplete":
        return "dbt parse"
    return None


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _duration(start: datetime, end: datetime) -> str:
    minutes = round((end - start).total_seconds() / 60)
    if minutes < 1:
        return "less than a minute"
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    parts = [
        f"{n} {unit}{'s' if n != 1 else ''}" for n, unit in ((days, "day"), (hours, "hour"), (minutes, "minute")) if n
    ]
    return " ".join(parts[:2])
