"""DuckDB files that other processes use too: opened read-only, with a bounded wait for their locks."""

from __future__ import annotations

import logging
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from offdag.errors import DatabaseLocked, MonitorError

if TYPE_CHECKING:
    import duckdb

_log = logging.getLogger(__name__)

_RETRY_SECONDS = 0.25
_LOCK = re.compile(r"Could not set lock on file|Conflicting lock is held")
_HOLDER = re.compile(r"held in (?P<program>\S+)\s+\(PID (?P<pid>\d+)\)")
_NEWER = re.compile(r"(?i)storage version|version number|newer version of DuckDB")
_NOT_DUCKDB = re.compile(r"(?i)not a valid DuckDB database")


@dataclass(frozen=True)
class LockWait:
    """How long to wait for a locked file.

    Attributes:
        verb: The offdag verb that waits, for messages.
        timeout: Longest wait, in seconds.
    """

    verb: str
    timeout: float


def open_read_only(path: Path, wait: LockWait) -> duckdb.DuckDBPyConnection:
    """Open an existing DuckDB file for reading; close it soon, since a reader keeps writers out.

    Raises:
        DatabaseLocked: Another process held it for the whole time.
        MonitorError: It cannot be opened, or this version does not read it.
    """
    return _open(path, wait, read_only=True)


def open_for_writing(path: Path, wait: LockWait) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file for writing; no other process can open it meanwhile.

    Raises:
        DatabaseLocked: Another process held it for the whole time.
        MonitorError: It cannot be opened, or this version does not read it.
    """
    return _open(path, wait, read_only=False)


def is_readable(path: Path) -> bool:
    """Whether this DuckDB reads the file's format; a locked file is one that it may read."""
    import duckdb

    try:
        duckdb.connect(str(path), read_only=True).close()
    except duckdb.Error as error:
        return not _NEWER.search(str(error))
    return True


def wait_until_free(path: Path, wait: LockWait) -> None:
    """Return once no other process has the file open; a missing file is free.

    Raises:
        DatabaseLocked: Another process held it for the whole time.
        MonitorError: It cannot be opened, or this version does not read it.
    """
    if path.is_file():
        _open(path, wait, read_only=False).close()


def copy_database(path: Path, copy: Path, wait: LockWait) -> None:
    """Copy a whole DuckDB file; no other process writes to it meanwhile.

    Raises:
        DatabaseLocked: A writer held it for the whole time.
        MonitorError: It cannot be opened, or this version does not read it.
    """
    temporary = copy.with_name(f".{copy.name}.tmp")
    with open_read_only(path, wait):
        # The log of writes after the last checkpoint comes first: closing the copied file ends this process's lock on it.
        log = path.with_name(f"{path.name}.wal")
        if log.is_file():
            shutil.copyfile(log, copy.with_name(f"{copy.name}.wal"))
        shutil.copyfile(path, temporary)
    temporary.replace(copy)


def quoted(identifier: str) -> str:
    """An identifier quoted for DuckDB and Postgres; it may hold any character."""
    return '"' + identifier.replace('"', '""') + '"'


def is_lock_message(text: str) -> bool:
    """Whether an error text of DuckDB, or of dbt on DuckDB, is about a lock."""
    return bool(_LOCK.search(text))


def _open(path: Path, wait: LockWait, read_only: bool) -> duckdb.DuckDBPyConnection:
    import duckdb

    deadline = time.monotonic() + wait.timeout
    is_waiting = False
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except duckdb.Error as error:
            message = str(error)
            if not is_lock_message(message):
                raise _cannot_open(path, message) from error
            holder = _holder(message)
            if time.monotonic() >= deadline:
                raise DatabaseLocked(
                    f"{wait.verb} waited {wait.timeout:.0f} s for {holder}, which still holds the database",
                    str(path),
                    f"offdag {wait.verb}",
                ) from error
            if not is_waiting:
                _log.info(
                    "%s waits for %s, which holds %s (at most %.0f s)", wait.verb, holder, path, max(wait.timeout, 0)
                )
                is_waiting = True
            time.sleep(_RETRY_SECONDS)


def _cannot_open(path: Path, message: str) -> MonitorError:
    """The error for a file that is not merely locked, with the remedy for its cause."""
    if _NEWER.search(message):
        what, remedy = "a newer DuckDB wrote the database", "python -m pip install --upgrade duckdb"
    elif _NOT_DUCKDB.search(message):
        what, remedy = "the file is not a DuckDB database", f"mv {path} {path}.bad"
    else:
        what, remedy = f"the database cannot be opened: {message.splitlines()[0]}", f"ls -l {path}"
    return MonitorError(what, str(path), remedy)


def _holder(message: str) -> str:
    match = _HOLDER.search(message)
    return f"process {match['pid']} ({Path(match['program']).name})" if match else "another process"
