"""The one clock of offdag: UTC without a zone, as the history keeps it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

# Gives this moment, naive UTC; tests give another one.
Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """This moment, naive UTC."""
    return datetime.now(timezone.utc).replace(tzinfo=None)
