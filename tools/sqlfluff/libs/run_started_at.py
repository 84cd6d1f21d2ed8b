"""Stand-in for dbt's run_started_at in sqlfluff's rendering."""

from __future__ import annotations


def strftime(_: str) -> str:
    return "2026-01-31 06:00:00.000000"
