"""A clock that a test moves."""

from __future__ import annotations

from datetime import datetime, timedelta

from offdag.clock import utc_now


class MovingClock:
    """The current time plus what the test adds."""

    def __init__(self) -> None:
        self._offset = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self._offset

    def advance(self, **delta: float) -> None:
        """Move on, by the arguments of timedelta."""
        self._offset += timedelta(**delta)

    def reset(self) -> None:
        """Return to the current time."""
        self._offset = timedelta()
