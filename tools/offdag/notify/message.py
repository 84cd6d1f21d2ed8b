"""A message as data: its text and order, without any format."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from offdag.monitor.rows import DueNotification

_FAILURES = ("node_failed", "test_failed")
_NAMED_IN_STORM = 10
_SHA_LENGTH = 8
_SHA = re.compile(r"[0-9a-f]{7,64}")

_STATE = {
    "node_failed": "FAILED",
    "test_failed": "FAILED",
    "source_stale": "STALE",
    "source_unchecked": "NOT CHECKED",
    "run_incomplete": "NOT BUILT",
    "mass_failure": "FAILED",
    "run_missing": "MISSING",
    "run_stuck": "NOT ENDED",
    "deadline_at_risk": "AT RISK",
    "node_late": "LATE",
    "model_stale": "STALE",
    "model_slow": "SLOW",
    "test_flaky": "FLAKY",
    "schema_changed": "CHANGED",
    "volume_odd": "ODD VOLUME",
    "node_drop": "FEWER NODES",
    "stockout": "OUT OF STOCK",
    "stock_low": "LOW STOCK",
}
_NEXT = {
    "node_failed": "dbt build --select {node}+",
    "test_failed": "dbt retry",
    "test_warned": "dbt test --select {node}",
    "source_stale": "dbt source freshness --select source:{source}",
    "source_unchecked": "dbt source freshness --select source:{source}",
    "run_incomplete": "dbt parse",
    "run_missing": "offdag run -e {environment} -- dbt build",
    "run_stuck": "offdag runs --log",
    "node_late": "dbt build --select +{node}",
    "model_stale": "dbt build --select +{node}",
    "mass_failure": "dbt debug",
    "model_slow": "dbt build --select +{node}",
    "schema_changed": "dbt build --select +{node}",
    "volume_odd": "dbt build --select +{node}",
    "node_drop": "dbt ls",
}
_DIGEST_FACTS = ("Owners", "Oldest open", "Flaky", "Slow", "Cost of all projects")
_WITH_TARGET = ("dbt build", "dbt test", "dbt debug", "dbt ls")
_CLOSED = {
    "removed": "no longer checked: it was removed",
    "replaced": "no longer checked: another test replaced it",
    "passed": "the deadline has passed",
    "unobserved": "no longer checked: there was no observation for a long time",
}


@dataclass(frozen=True)
class Problem:
    """One line of a message with its facts.

    Attributes:
        state: The word that comes first, such as FAILED or RESOLVED.
        title: A plain sentence.
        brief: The rest of the line: how much fails, and what it took down. May be empty.
        facts: Label and text, in order; empty ones are left out.
        mention: Slack user or group id; None for no mention.
        signal_keys: The signals in it; several where they share one cause.
        severity: error or warning.
        is_ended: Whether it is resolved or closed.
        link: Its incident in the report; None where no report has an address.
    """

    state: str
    title: str
    brief: str
    facts: tuple[tuple[str, str], ...]
    mention: str | None
    signal_keys: tuple[str, ...]
    severity: str
    is_ended: bool
    link: str | None = None


@dataclass(frozen=True)
class Message:
    """One message to one channel.

    Attributes:
        heading: States, counts, project and environment: also the phone's notification.
        problems: The worst first.
        is_reminder: All of it was sent before.
    """

    heading: str
    problems: tuple[Problem, ...]
    is_reminder: bool = False


def build_message(rows: Sequence[DueNotification], report_url: str | None = None) -> Message:
    """The message for some rows of ``fct_notifications_due``, at least one. Those that share a ``storm_cause`` are one problem.

    Args:
        rows: Of one channel.
        report_url: Where people open the report; None for messages without links to it.
    """
    ordered = sorted(rows, key=_urgency)
    groups: dict[tuple[Any, ...], list[DueNotification]] = {}
    for row in ordered:
        place = (row.storm_cause, row.project, row.environment, _state(row))
        groups.setdefault(place if row.storm_cause else (row.notification_id,), []).append(row)
    problems = tuple(
        replace(_problem(group[0]) if len(group) == 1 else _storm(group), link=_report_link(group, report_url))
        for group in groups.values()
    )
    return Message(_heading(ordered, problems), problems, all(row.event == "reminder" for row in rows))


def _report_link(group: Sequence[DueNotification], report_url: str | None) -> str | None:
    """The incident's place in the report; for several, the list of all."""
    if report_url is None:
        return None
    anchor = f"incident-{group[0].incident_id}" if len(group) == 1 and group[0].incident_id else "incidents"
    return f"{report_url.partition('#')[0]}#{anchor}"


def _urgency(row: DueNotification) -> tuple[Any, ...]:
    return _is_ended(row), row.severity != "error", row.kind, row.title, row.signal_key


def _is_ended(row: DueNotification) -> bool:
    return row.event in ("resolved", "closed")


def _state(row: DueNotification) -> str:
    if row.event == "resolved":
        return "RESOLVED"
    if row.event == "closed":
        return "CLOSED"
    if row.event == "digest":
        return "WEEKLY"
    state = (
        "WARNS"
        if row.kind == "test_failed" and row.severity == "warning"
        else _STATE.get(row.kind, row.kind.replace("_", " ").upper())
    )
    return f"STILL {state}" if row.event == "reminder" else state


def _heading(rows: Sequence[DueNotification], problems: Sequence[Problem]) -> str:
    if all(row.event == "digest" for row in rows):
        return rows[0].title
    counts: dict[str, int] = {}
    for row in rows:
        counts[_state(row)] = counts.get(_state(row), 0) + 1
    states = ", ".join(f"{count} {state}" if len(rows) > 1 else state for state, count in counts.items())
    places = sorted({f"{row.project} ({row.environment})" for row in rows})
    where = ", ".join(places[:3]) + (f" and {len(places) - 3} more" if len(places) > 3 else "")
    prefix = "First report: " if all(row.is_first_report for row in rows) else ""
    only = f": {problems[0].title}" if len(problems) == 1 else ""
    return f"{prefix}{states} in {where}{only}"


def _problem(row: DueNotification) -> Problem:
    evidence = _evidence(row)
    facts: list[tuple[str, str | None]] = [("Since", _minute(row.started_at))]
    title, brief = row.title, ""
    if row.event == "resolved":
        title += f": recovered after {_duration(((row.ended_at or row.last_bad_at) - row.started_at).total_seconds())}"
    elif row.event == "closed":
        title += f": {_CLOSED.get(row.closed_reason or '', 'no longer checked')}"
    elif row.event == "digest":
        facts = [(label, evidence.get(label.lower().replace(" ", "_"))) for label in _DIGEST_FACTS]
    else:
        impact = _impact(evidence)
        brief = "; ".join(part for part in (row.detail, impact) if part)
        facts = [
            ("What", row.detail),
            ("Since", _minute(row.started_at) + _times(row.bad_count)),
            ("Took down", impact),
            ("Likely cause", row.likely_cause),
            ("Changed", _change(row)),
            ("Seen before", _seen_before(row)),
            ("Owner", row.owner),
            ("Where", evidence.get("path")),
            ("Rows", row.failing_rows),
            ("Query", row.compiled_path if row.kind in _FAILURES else None),
            ("Commit", _commit_link(row)),
            ("Run", row.ci_url or evidence.get("ci_url")),
            ("Next", _next_command(row)),
        ]
    return Problem(
        _state(row), title, brief, _filled(facts), _mention(row), (row.signal_key,), row.severity, _is_ended(row)
    )


def _storm(rows: Sequence[DueNotification]) -> Problem:
    """Many failures of one cause as one problem: the cause, how many, and the first of them by name."""
    first = rows[0]
    title = f"{len(rows)} nodes fail for one reason"
    names = ", ".join(row.title for row in rows[:_NAMED_IN_STORM])
    more = f", and {len(rows) - _NAMED_IN_STORM} more" if len(rows) > _NAMED_IN_STORM else ""
    facts: list[tuple[str, str | None]] = [
        ("What", first.storm_cause),
        ("Since", _minute(min(row.started_at for row in rows))),
        ("Which", names + more),
        ("Changed", _change(first)),
        ("Owner", ", ".join(sorted({row.owner for row in rows if row.owner}))),
        ("Commit", _commit_link(first)),
        ("Run", first.ci_url),
        ("Next", "dbt retry"),
    ]
    brief = first.storm_cause or ""
    if _is_ended(first):
        title = f"{len(rows)} nodes failed for one reason: {'recovered' if first.event == 'resolved' else 'no longer checked'}"
        facts, brief = [facts[1], facts[2]], ""
    mention = next((m for m in map(_mention, rows) if m), None)
    keys = tuple(row.signal_key for row in rows)
    return Problem(_state(first), title, brief, _filled(facts), mention, keys, first.severity, _is_ended(first))


def _filled(facts: Sequence[tuple[str, str | None]]) -> tuple[tuple[str, str], ...]:
    return tuple((label, text) for label, text in facts if text)


def _mention(row: DueNotification) -> str | None:
    return row.mention if row.event in ("opened", "reminder") else None


def _times(count: int) -> str:
    return f", seen {count} times" if count > 1 else ""


def _evidence(row: DueNotification) -> dict[str, str]:
    """The facts behind a signal as texts, without the empty ones; none where a signal of the user's own gives no JSON object."""
    try:
        found = json.loads(row.evidence or "{}")
    except (ValueError, RecursionError):
        return {}
    return {k: str(v) for k, v in found.items() if v} if isinstance(found, dict) else {}


def _impact(evidence: dict[str, str]) -> str | None:
    skipped, exposures, outdated = (evidence.get(k) for k in ("skipped_models", "exposures", "outdated_models"))
    parts = [f"{skipped} model{'s' if skipped != '1' else ''} skipped"] if skipped else []
    parts += [f"built on old data: {outdated}"] if outdated else []
    return "; ".join(parts + ([f"exposures: {exposures}"] if exposures else [])) or None


def _change(row: DueNotification) -> str | None:
    """What changed since the last success of the incident's node; None where that is unknown."""
    if row.change_count is None:
        return None
    sha, prior = (row.git_sha or "")[:_SHA_LENGTH], (row.last_success_git_sha or "")[:_SHA_LENGTH]
    commits = f" ({prior} to {sha})" if sha and prior and sha != prior else f" ({sha})" if sha else ""
    what = f"{row.changes}," if row.changes else "no code, configuration or macro"
    return f"{what} since its last success{commits}"


def _commit_link(row: DueNotification) -> str | None:
    """The commit of the first bad build, or all since the last success; GitHub and GitLab have both pages."""
    prior, sha = (sha if _SHA.fullmatch(sha or "") else None for sha in (row.last_success_git_sha, row.git_sha))
    if not row.repository_url or not sha:
        return None
    page = f"compare/{prior}...{sha}" if prior and prior != sha else f"commit/{sha}"
    return f"{row.repository_url}/{page}"


def _seen_before(row: DueNotification) -> str | None:
    if not row.seen_before_count or row.seen_since is None:
        return None
    times = "once" if row.seen_before_count == 1 else f"{row.seen_before_count} times"
    last = (
        f"; the last time it recovered after {_duration(row.last_recovery_seconds)}"
        if row.last_recovery_seconds
        else ""
    )
    return f"{times} since {row.seen_since:%Y-%m-%d}{last}"


def _next_command(row: DueNotification) -> str | None:
    kind = row.kind
    # For dbt retry a warning is no failure: it would run nothing.
    if kind == "test_failed" and row.severity == "warning":
        kind = "test_warned"
    node = (row.node_id or "").split(".")
    # A model that `dbt freshness` of dbt 2.x checked.
    if kind == "source_stale" and node[0] == "model":
        kind = "model_stale"
    if kind == "node_late" and node[0] == "exposure":
        return None
    if kind == "node_late" and node[0] == "source":
        kind = "source_stale"
    names = {"node": node[2] if len(node) > 2 else None, "source": ".".join(node[2:4]) if len(node) > 3 else None}
    command = _NEXT.get(kind, "")
    if any(f"{{{name}}}" in command and value is None for name, value in names.items()):
        return None
    # dbt retry keeps the target by itself.
    target = f" --target {shlex.quote(row.target)}" if row.target and command.startswith(_WITH_TARGET) else ""
    return command.format(environment=shlex.quote(row.environment), **names) + target or None


def _minute(instant: datetime) -> str:
    return f"{instant:%Y-%m-%d %H:%M} UTC"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "less than a minute"
    days, rest = divmod(minutes, 1440)
    hours, minutes = divmod(rest, 60)
    parts = [
        f"{n} {unit}{'s' if n != 1 else ''}" for n, unit in ((days, "day"), (hours, "hour"), (minutes, "minute")) if n
    ]
    return " ".join(parts[:2])
