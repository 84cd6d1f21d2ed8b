"""Signals on their way to dbt: passed on while it runs, remembered before it starts, held after its end."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
from types import FrameType, TracebackType
from typing import Any

_log = logging.getLogger(__name__)

_PASSED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2)
_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT)


class SignalRelay:
    """A context in which no signal ends offdag: its work around dbt is short, and dbt's own exit code is what counts.

    Args:
        until_exit: The process ends after this context: the signals that would stop it are ignored from then on, so that none comes
            between the work and the exit code.

    Attributes:
        stopped_by: Name of the first signal that asks a process to stop; None while there was none.
    """

    def __init__(self, until_exit: bool = False) -> None:
        self._until_exit = until_exit
        self.stopped_by: str | None = None
        self._group: int | None = None
        self._waiting: list[int] = []
        self._previous: dict[int, Any] = {}

    def __enter__(self) -> SignalRelay:
        # Python lets only the main thread have handlers.
        with contextlib.suppress(ValueError):
            # Under nohup, or in a shell's background, dbt inherits that a signal is ignored.
            heard = [number for number in _PASSED if signal.getsignal(number) is not signal.SIG_IGN]
            self._previous = {number: signal.signal(number, self._receive) for number in heard}
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_IGN if self._until_exit and number in _STOPS else handler)

    def attach(self, group: int) -> None:
        """Pass signals on to a process group from now on, those that came before first."""
        self._group = group
        while self._waiting:
            self._pass_on(self._waiting.pop(0))

    def detach(self) -> None:
        """The process group has ended."""
        self._group = None

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        if number in _STOPS:
            self.stopped_by = self.stopped_by or signal.Signals(number).name
        if self._group is None:
            self._waiting.append(number)
        else:
            self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        if self._group is not None:
            # Not allowed for a program of another user, as below sudo: it decides on its own when to end.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._group, number)
