"""Values of artifact JSON, taken only where they have the type that dbt documents; else None."""

from __future__ import annotations

from typing import Any

Row = dict[str, Any]
# Values of equal number by column name.
Columns = dict[str, list[Any]]

_SECONDS = {"minute": 60, "hour": 3600, "day": 86400}


def text(value: object) -> str | None:
    """A text that is not empty."""
    return value if isinstance(value, str) and value else None


def mapping(value: object) -> Row:
    """A mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def items(value: object) -> list[Any]:
    """A list, else an empty one."""
    return value if isinstance(value, list) else []


def number(value: object) -> float | None:
    """A finite number, also from text."""
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < float("inf") else None


def count(value: object) -> int | None:
    """A whole number that fits 64 bits, also from text."""
    if value is None:
        return None
    found = number(value)
    return int(found) if found is not None and found == int(found) and abs(found) < 2**63 else None


def threshold_seconds(value: object) -> int | None:
    """Seconds of a freshness threshold ``{count, period}``; dbt knows minute, hour and day."""
    threshold = mapping(value)
    periods, period = count(threshold.get("count")), _SECONDS.get(str(threshold.get("period")))
    return None if periods is None or period is None else count(periods * period)
