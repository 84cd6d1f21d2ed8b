"""The monitor's marts as rows: the only way in which the rest of offdag reads them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb

from offdag.duckdb_files import open_read_only
from offdag.errors import MonitorError

Row = dict[str, Any]


class Marts:
    """Reads whole marts; the database is held only for the time of reading.

    Args:
        path: The monitor's DuckDB file.
        who: Verb that reads, for messages.
        lock_timeout: Longest wait in seconds.
        say: Gets a line when waiting begins.
    """

    def __init__(self, path: Path, who: str, lock_timeout: float, say: Callable[[str], None]) -> None:
        self._path = path
        self._who = who
        self._lock_timeout = lock_timeout
        self._say = say

    def read(self, *names: str) -> dict[str, list[Row]]:
        """All rows of the named marts, by name; timestamps are naive UTC.

        Raises:
            MonitorError: The monitor has not been built, or lacks the mart.
            DatabaseLocked: The database stayed locked.
        """
        if not self._path.is_file():
            raise MonitorError("the monitor has not been built yet", str(self._path), "offdag monitor")
        found: dict[str, list[Row]] = {}
        with open_read_only(self._path, self._who, self._lock_timeout, self._say) as connection:
            for name in names:
                try:
                    cursor = connection.execute(f'select * from "{name}"')
                except duckdb.Error as error:
                    raise MonitorError(
                        f"the monitor has no {name}: {str(error).splitlines()[0]}", str(self._path), "offdag monitor"
                    ) from error
                columns = [column[0] for column in cursor.description or []]
                found[name] = [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]
        return found
