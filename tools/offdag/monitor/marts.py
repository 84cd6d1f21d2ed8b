"""The monitor's marts as typed rows: the only way in which the rest of offdag reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

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
            return msgspec.convert(self.table(kind.mart), list[kind])  # type: ignore[valid-type]
        except msgspec.ValidationError as error:
            raise self._misfit(kind.mart, error) from error

    def table(self, mart: str) -> list[dict[str, Any]]:
        """All rows of a mart by column, for who shows them as they are; timestamps are naive UTC.

        Raises:
            MonitorError: The monitor lacks the mart.
        """
        return self._found(mart, f'select * from "{mart}"', [])

    def select(
        self, mart: str, where: Mapping[str, object], order: Sequence[str], limit: int | None
    ) -> list[dict[str, Any]]:
        """Some rows of a mart by column; timestamps are naive UTC.

        Args:
            mart: Name of the mart.
            where: Values by column; None for any.
            order: Columns of the mart, each with ``desc`` or without.
            limit: Most rows; None for all.

        Raises:
            MonitorError: The monitor lacks the mart or a column.
        """
        given = {column: value for column, value in where.items() if value is not None}
        conditions = " and ".join(["true", *(f'"{column}" = ?' for column in given)])
        query = f'select * from "{mart}" where {conditions} order by {", ".join(order)} limit {limit or "all"}'
        return self._found(mart, query, list(given.values()))

    def _found(self, mart: str, query: str, values: list[object]) -> list[dict[str, Any]]:
        try:
            cursor = self._connection.execute(query, values)
            columns = [column[0] for column in cursor.description or []]
            return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
        except duckdb.Error as error:
            raise self._misfit(mart, error) from error

    def names(self) -> list[str]:
        """Names of all marts, sorted."""
        query = "select table_name from information_schema.tables where regexp_matches(table_name, '^(dim|fct)_') order by 1"
        return [name for (name,) in self._connection.execute(query).fetchall()]

    def write_parquet(self, mart: str, file: Path) -> int:
        """Write a mart to a new Parquet file; gives its number of rows.

        Raises:
            MonitorError: The monitor lacks the mart, or the disk is full.
        """
        place = str(file).replace("'", "''")
        try:
            written = self._connection.execute(
                f"copy (select * from \"{mart}\") to '{place}' (format parquet, compression zstd)"
            )
            [(rows,)] = written.fetchall()
        except duckdb.Error as error:
            raise self._misfit(mart, error) from error
        return int(rows)

    def observations(self) -> dict[str, list[dict[str, Any]]]:
        """The newest observations of each signal that has an incident, the oldest first.

        Raises:
            MonitorError: The monitor lacks them.
        """
        found: dict[str, list[dict[str, Any]]] = {}
        for row in sorted(self.table("report_observations"), key=lambda row: -row["newest_number"]):
            found.setdefault(row["signal_key"], []).append(row)
        return found

    def has(self, mart: str) -> bool:
        """Whether the monitor has the mart: those about observed tables are built only where the table is observed."""
        found = self._connection.execute("select 1 from duckdb_tables() where table_name = ?", [mart]).fetchall()
        return bool(found)

    def _misfit(self, mart: str, error: Exception) -> MonitorError:
        what = f"the monitor's {mart} does not fit this offdag: {str(error).splitlines()[0]}"
        return MonitorError(what, str(self._path), "offdag monitor")

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
