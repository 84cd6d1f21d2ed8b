"""The one clock of offdag: UTC without a zone, as the history keeps it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

# Returns the current time, naive UTC; tests pass their own.
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """The current time, naive UTC."""
    return datetime.now(timezone.utc).replace(tzinfo=None)
