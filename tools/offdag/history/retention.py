"""Retention: whole dates leave the history, only where asked."""

from __future__ import annotations

from collections import Counter
from datetime import date

from offdag.history.history import History, date_folder
from offdag.history.raw import raw_folders

# One row per run or look: what an old date holds, nobody needs for a newer one. Invocations go first, so that none is left without
# its results. What later runs refer to (nodes, manifests, catalogs' columns, observed tables) and what was said (deliveries) stays.
_DATED_TABLES = (
    "invocations",
    "node_results",
    "source_freshness",
    "catalogs",
    "job_runs",
    "artifact_verdicts",
    "monitor_runs",
)
_KEPT_KINDS = ("manifest.", "catalog.")


def prune(history: History, before: date) -> Counter[str]:
    """Remove the runs of all dates before one.

    Args:
        history: Whose files.
        before: First date that stays (UTC).

    Returns:
        Removed files by table, and those of ``artifacts``.

    Raises:
        HistoryError: A file cannot be removed. Pruning again completes it.
    """
    removed: Counter[str] = Counter()
    for table in _DATED_TABLES:
        for day in history.dates(table):
            if day < before:
                folder = date_folder(table, day)
                for name in history.store.names(folder):
                    history.store.delete(f"{folder}/{name}")
                    removed[table] += 1
    for day, folder in list(raw_folders(history)):
        if day < before:
            for name in history.store.names(folder):
                if not name.startswith(_KEPT_KINDS):
                    history.store.delete(f"{folder}/{name}")
                    removed["artifacts"] += 1
    return removed
