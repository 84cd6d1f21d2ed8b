"""The one clock of offdag: UTC without a zone, as the history keeps it."""

from __future__ import annotations

from datetime import datetime, timezone


def utc_now() -> datetime:
    """This moment, naive UTC."""
    return datetime.now(timezone.utc).replace(tzinfo=None)
