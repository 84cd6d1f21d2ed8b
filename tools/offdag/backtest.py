"""What other settings would have sent: the history is monitored twice, and what each would have sent is compared."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from offdag.config_folder import ConfigFolder
from offdag.errors import MonitorError, UsageError
from offdag.history.history import History
from offdag.monitor.build import RunOptions, build_monitor
from offdag.monitor.marts import open_marts
from offdag.monitor.project import project_vars
from offdag.monitor.rows import BacktestNotification
from offdag.notify import markdown
from offdag.settings import Settings

_LONGEST_RHYTHM_DAYS = 36
_PARTS = ("seeds/*.csv", "dbt_project.yml", "models/*")


@dataclass(frozen=True)
class Backtest:
    """What is sent by two settings in a span.

    Attributes:
        since: Begin of the span, naive UTC.
        until: Its end.
        present: With the current settings, the oldest first.
        other: With the other ones.
    """

    since: datetime
    until: datetime
    present: Sequence[BacktestNotification]
    other: Sequence[BacktestNotification]

    @property
    def added(self) -> list[BacktestNotification]:
        """What only the other settings send."""
        return _without(self.other, self.present)

    @property
    def gone(self) -> list[BacktestNotification]:
        """What only the current settings send."""
        return _without(self.present, self.other)

    @property
    def delivered_count(self) -> int:
        """How many of the current ones were in fact delivered."""
        return sum(row.is_delivered for row in self.present)

    def weeks(self) -> list[dict[str, Any]]:
        """Notifications by week (its Monday) and channel: week, channel, current, other, added, gone."""
        columns = {"current": self.present, "other": self.other, "added": self.added, "gone": self.gone}
        counts = {name: Counter(map(_place, rows)) for name, rows in columns.items()}
        places = sorted({place for found in counts.values() for place in found})
        return [
            {"week": week, "channel": channel, **{name: found[week, channel] for name, found in counts.items()}}
            for week, channel in places
        ]

    def changes(self) -> list[dict[str, Any]]:
        """What is added and gone, the oldest first."""
        rows = [("added", row) for row in self.added] + [("gone", row) for row in self.gone]
        return [
            {
                "change": change,
                "sent_at": f"{row.sent_at:%Y-%m-%d %H:%M}",
                "channel": row.channel,
                "event": row.event,
                "kind": row.kind,
                "what": row.title,
                "where": f"{row.project} ({row.environment})",
            }
            for change, row in sorted(rows, key=lambda found: (found[1].sent_at, found[1].title))
        ]

    def summary(self) -> str:
        """One line."""
        return (
            f"{self.since:%Y-%m-%d} to {self.until:%Y-%m-%d}: {len(self.present)} notifications with the current settings "
            f"({self.delivered_count} of them were delivered), {len(self.other)} with the other ones: "
            f"{len(self.added)} added, {len(self.gone)} gone"
        )

    def as_markdown(self) -> str:
        """For a comment of a pull request; long lists are cut visibly."""
        weeks = [[str(v) if k != "channel" else markdown.code(v) for k, v in row.items()] for row in self.weeks()]
        changes = [[markdown.code(text) for text in row.values()] for row in self.changes()]
        lines = ["## offdag backtest", "", self.summary(), ""]
        lines += markdown.table("By week and channel", ["week", "channel", "current", "other", "added", "gone"], weeks)
        lines += markdown.table(
            "Added and gone", ["change", "sent (UTC)", "channel", "event", "kind", "what", "where"], changes
        )
        return "\n".join(lines)


def backtest(settings: Settings, other: ConfigFolder, days: int) -> Backtest:
    """Monitor the history with the current settings and with others, in temporary databases.

    Args:
        settings: The current ones.
        other: The other folder.
        days: Length of the span that ends now.

    Raises:
        UsageError: A folder cannot be used.
        MonitorError: dbt failed.
    """
    if not any(other.folder.glob(name) for name in _PARTS) if other.folder else True:
        raise UsageError("the folder has no seeds, vars or models", other.name, "offdag init --config-dir offdag-new")
    settings = replace(settings, as_of=settings.now)
    history = History.open_existing(settings.history)
    since = settings.now - timedelta(days=days)
    present, others = (_sent(replace(settings, config=config), history, days) for config in (settings.config, other))
    return Backtest(
        since, settings.now, [r for r in present if r.sent_at >= since], [r for r in others if r.sent_at >= since]
    )


def _sent(settings: Settings, history: History, days: int) -> list[BacktestNotification]:
    known = project_vars(settings.config)
    # What is judged by what is usual, is judged over the whole span.
    variables = {
        "judged_days": max(int(known["judged_days"]), days),
        "baseline_days": max(int(known["baseline_days"]), days + _LONGEST_RHYTHM_DAYS),
    }
    with tempfile.TemporaryDirectory(prefix="offdag-backtest-") as folder:
        settings = replace(settings, monitor_database=Path(folder) / "monitor.duckdb")
        built = build_monitor(settings, history, RunOptions(is_recorded=False, variables=variables))
        if not built.is_whole:
            what = "dbt could not build the signals and checks of the folder, so they cannot be compared"
            raise MonitorError(what, settings.config.name, f"offdag monitor --config-dir {settings.config.name}")
        with open_marts(settings.monitor_database, settings.wait_as("backtest")) as marts:
            rows = marts.rows(BacktestNotification)
    return sorted(rows, key=lambda row: (row.sent_at, row.channel, row.title, row.signal_key))


def _key(row: BacktestNotification) -> tuple[str, datetime, str, str]:
    return row.signal_key, row.started_at, row.channel, row.event


def _without(
    rows: Sequence[BacktestNotification], others: Sequence[BacktestNotification]
) -> list[BacktestNotification]:
    known = {_key(row) for row in others}
    return [row for row in rows if _key(row) not in known]


def _place(row: BacktestNotification) -> tuple[str, str]:
    day = row.sent_at.date()
    return str(day - timedelta(days=day.weekday())), row.channel
