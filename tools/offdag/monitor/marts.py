"""The monitor's marts as typed rows: the only way in which the rest of offdag reads them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import duckdb
import msgspec

from offdag.duckdb_files import LockWait, open_read_only
from offdag.errors import MonitorError
from offdag.monitor.rows import MartRow, MonitorRun

RowT = TypeVar("RowT", bound=MartRow)


class Marts:
    """Marts of an open database.

    Args:
        connection: Read-only.
        path: The file, for errors.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def rows(self, kind: type[RowT]) -> list[RowT]:
        """All rows of the mart that a struct names; timestamps are naive UTC.

        Raises:
            MonitorError: The monitor lacks the mart, or one of the struct's columns.
        """
        try:
            cursor = self._connection.execute(f'select * from "{kind.mart}"')
            columns = [column[0] for column in cursor.description or []]
            found = [dict(zip(columns, values, strict=True)) for values in cursor.fetchall()]
            return msgspec.convert(found, list[kind])  # type: ignore[valid-type]
        except (duckdb.Error, msgspec.ValidationError) as error:
            raise MonitorError(
                f"the monitor's {kind.mart} does not fit this offdag: {str(error).splitlines()[0]}",
                str(self._path),
                "offdag monitor",
            ) from error

    def has(self, kind: type[MartRow]) -> bool:
        """Whether the monitor has the mart: those about observed tables are built only where the table is observed."""
        found = self._connection.execute("select 1 from duckdb_tables() where table_name = ?", [kind.mart]).fetchall()
        return bool(found)

    def monitor_run(self) -> MonitorRun:
        """The monitor run that made the marts.

        Raises:
            MonitorError: It did not come to its end.
        """
        found = self.rows(MonitorRun)
        if not found:
            raise MonitorError("the monitor's last run did not come to its end", MonitorRun.mart, "offdag monitor")
        return found[0]


@contextmanager
def open_marts(path: Path, wait: LockWait) -> Iterator[Marts]:
    """The marts of the monitor's DuckDB file, which is held only while the context is open.

    Raises:
        MonitorError: The monitor has not been built.
        DatabaseLocked: The database stayed locked.
    """
    if not path.is_file():
        raise MonitorError("the monitor has not been built yet", str(path), "offdag monitor")
    with open_read_only(path, wait) as connection:
        yield Marts(connection, path)
