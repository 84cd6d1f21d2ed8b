"""Retention: whole dates are removed from the history, only on request."""

from __future__ import annotations

import json
from collections import Counter
from datetime import date

from offdag.history.history import History, date_folder
from offdag.history.raw import UNREADABLE, raw_folders

# One row per run or check, which no newer date refers to. Invocations go first, so that none is left without its results. What newer
# runs refer to (nodes, manifests, columns of catalogs, observed tables) and what was delivered stays.
_DATED_TABLES = (
    "invocations",
    "node_results",
    "source_freshness",
    "failing_rows",
    "catalogs",
    "job_runs",
    "job_starts",
    "artifact_verdicts",
    "monitor_runs",
)
_KEPT_KINDS = ("manifest.", "catalog.")
_STATE = "pruned.json"


def prune(history: History, before: date) -> Counter[str]:
    """Remove the runs of all dates before one.

    Args:
        history: The history.
        before: First date that stays (UTC).

    Returns:
        Removed files by table, and those of ``artifacts``.

    Raises:
        HistoryError: A file cannot be removed. Pruning again completes it.
    """
    removed: Counter[str] = Counter()
    # First: a rebuild must not report rows as missing that are about to be removed.
    newest = max(before, pruned_before(history) or before)
    history.store.write(_STATE, json.dumps({"before": newest.isoformat()}).encode())
    for table in _DATED_TABLES:
        for day in history.dates(table):
            if day < before:
                folder = date_folder(table, day)
                for name in history.store.names(folder):
                    history.store.delete(f"{folder}/{name}")
                    removed[table] += 1
    for day, folder in list(raw_folders(history)):
        if day < before:
            is_unreadable = folder.rpartition("/")[2].startswith(UNREADABLE)
            for name in history.store.names(folder):
                # What newer runs refer to has rows.
                if is_unreadable or not name.startswith(_KEPT_KINDS):
                    history.store.delete(f"{folder}/{name}")
                    removed["artifacts"] += 1
    return removed


def pruned_before(history: History) -> date | None:
    """The first date that the last prune kept; None where nothing was ever pruned."""
    if not history.store.exists(_STATE):
        return None
    return date.fromisoformat(json.loads(history.store.read(_STATE))["before"])
