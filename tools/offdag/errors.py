"""Everything that offdag refuses or cannot do.

    OffdagError
    +-- UsageError            2  flags, settings or files of the user that cannot work
    +-- HistoryError          3  the history cannot be read or written
    |   +-- NoBuild           3  it has no build of an environment
    +-- DeliveryError         4  a message was not delivered
    +-- MonitorError          5  the monitor could not be built or read
        +-- DatabaseLocked    5  its database stayed locked

Each error names what failed, where, and the next command to type. ``cli.main`` alone turns them into exit codes. An artifact that cannot
be read is not an error: it gets a verdict, and ``collect`` ends with ExitCode.UNREADABLE after the rest of its work.
"""

from __future__ import annotations

from enum import IntEnum

__all__ = [
    "DatabaseLocked",
    "DeliveryError",
    "ExitCode",
    "HistoryError",
    "MonitorError",
    "NoBuild",
    "OffdagError",
    "UsageError",
    "error_text",
    "first_line",
]


def error_text(what: str, where: str, next_command: str) -> str:
    """The three lines of every error that people read: what failed, where, and the next command to type."""
    # A path may hold a line break: no part of it may look like a line of its own.
    return f"error: {what}\nwhere: {' '.join(where.splitlines())}\nnext:  {' '.join(next_command.splitlines())}"


def first_line(error: Exception) -> str:
    """The first line of a library's error, or the name of its class where it has no text."""
    return next(iter(str(error).strip().splitlines()), "")[:300] or type(error).__name__


class ExitCode(IntEnum):
    """What offdag's exit codes mean; ``offdag run`` and ``offdag job`` give dbt's own code."""

    OK = 0
    PROBLEMS = 1
    USAGE = 2
    UNREADABLE = 3
    UNDELIVERED = 4
    MONITOR = 5
    # sysexits.h, EX_TEMPFAIL: another job of the same project is running.
    BUSY = 75


class OffdagError(Exception):
    """The base class: three parts and an exit code. It survives pickling, so it can come from another process.

    Attributes:
        what: What failed, one sentence.
        where: The file, table, channel or setting.
        next_command: What to type next.
    """

    exit_code = ExitCode.USAGE

    def __init__(self, what: str, where: str, next_command: str) -> None:
        super().__init__(what, where, next_command)
        self.what = what
        self.where = where
        self.next_command = next_command

    def __str__(self) -> str:
        return error_text(self.what, self.where, self.next_command)


class UsageError(OffdagError):
    """Flags, settings or files of the user that cannot work."""


class HistoryError(OffdagError):
    """The history cannot be read or written."""

    exit_code = ExitCode.UNREADABLE


class NoBuild(HistoryError):
    """The history has no build of an environment.

    Attributes:
        others: Environments of which it has builds.
    """

    def __init__(self, what: str, where: str, next_command: str, others: frozenset[str] = frozenset()) -> None:
        super().__init__(what, where, next_command)
        self.others = others


class DeliveryError(OffdagError):
    """A message was not delivered; it stays due."""

    exit_code = ExitCode.UNDELIVERED


class MonitorError(OffdagError):
    """The monitor could not be built or read."""

    exit_code = ExitCode.MONITOR


class DatabaseLocked(MonitorError):
    """A database was in use for longer than the allowed wait."""
