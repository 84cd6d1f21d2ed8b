"""DuckDB files that other processes use too: opened read-only, waited for with a bound."""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import duckdb

from offdag.errors import DatabaseLocked, MonitorError

_RETRY_SECONDS = 0.25
_LOCK = re.compile(r"Could not set lock on file|Conflicting lock is held")
_HOLDER = re.compile(r"held in (?P<program>\S+)\s+\(PID (?P<pid>\d+)\)")


def open_read_only(path: Path, who: str, timeout: float, say: Callable[[str], None]) -> duckdb.DuckDBPyConnection:
    """Open a DuckDB file for reading; close it soon, since a reader keeps writers out.

    Args:
        path: An existing file.
        who: Verb that waits, for the message.
        timeout: Longest wait in seconds.
        say: Gets one line when waiting begins.

    Raises:
        DatabaseLocked: Another process held it for the whole time.
        MonitorError: It is no DuckDB file that this version reads.
    """
    return _open(path, True, who, timeout, say)


def wait_until_free(path: Path, who: str, timeout: float, say: Callable[[str], None]) -> None:
    """Return once no other process has the file open; a missing file is free.

    Raises:
        DatabaseLocked: Another process held it for the whole time.
        MonitorError: It is no DuckDB file that this version reads.
    """
    if path.is_file():
        _open(path, False, who, timeout, say).close()


def copy_database(path: Path, copy: Path, who: str, timeout: float, say: Callable[[str], None]) -> None:
    """Copy a DuckDB file, whole: no other process writes to it meanwhile.

    Raises:
        DatabaseLocked: A writer held it for the whole time.
        MonitorError: It is no DuckDB file that this version reads.
    """
    temporary = copy.with_name(f".{copy.name}.tmp")
    with open_read_only(path, who, timeout, say):
        # What was written after the last checkpoint. It comes first: closing the copied file ends this process's lock on it.
        log = path.with_name(f"{path.name}.wal")
        if log.is_file():
            shutil.copyfile(log, copy.with_name(f"{copy.name}.wal"))
        shutil.copyfile(path, temporary)
    temporary.replace(copy)


def quoted(identifier: str) -> str:
    """An identifier as DuckDB and Postgres read it, whatever it holds."""
    return '"' + identifier.replace('"', '""') + '"'


def is_lock_message(text: str) -> bool:
    """Whether an error text of DuckDB's, or of dbt on DuckDB, speaks of a lock."""
    return bool(_LOCK.search(text))


def _open(
    path: Path, read_only: bool, who: str, timeout: float, say: Callable[[str], None]
) -> duckdb.DuckDBPyConnection:
    deadline = time.monotonic() + timeout
    told = False
    while True:
        try:
            return duckdb.connect(str(path), read_only=read_only)
        except duckdb.Error as error:
            message = str(error)
            if not is_lock_message(message):
                raise MonitorError(
                    f"the database cannot be opened: {message.splitlines()[0]}",
                    str(path),
                    "python -m pip install --upgrade duckdb",
                ) from error
            holder = _holder(message)
            if time.monotonic() >= deadline:
                raise DatabaseLocked(
                    f"{who} waited {timeout:.0f} s for {holder}, which still holds the database",
                    str(path),
                    f"offdag {who}",
                ) from error
            if not told:
                say(f"{who} waits for {holder}, which holds {path} (at most {timeout:.0f} s)")
                told = True
            time.sleep(_RETRY_SECONDS)


def _holder(message: str) -> str:
    match = _HOLDER.search(message)
    return f"process {match['pid']} ({Path(match['program']).name})" if match else "another process"
