"""The history's tables in a Postgres server, for queries there. Whole dates are replaced, each in one transaction."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from offdag.dbt.command import DbtInvocation
from offdag.dbt.profile_adapter import profile_adapter
from offdag.duckdb_files import quoted
from offdag.errors import OffdagError, UsageError, first_line
from offdag.history.history import History

if TYPE_CHECKING:
    from sqlmesh.core.engine_adapter.base import EngineAdapter

_TYPES = {
    pa.string(): "text",
    pa.int64(): "bigint",
    pa.float64(): "double precision",
    pa.bool_(): "boolean",
    pa.timestamp("us"): "timestamp",
    pa.date32(): "date",
}
_RUN_DATE = pa.field("run_date", pa.date32())
_LOCK_SECONDS = 30
_LOADED = "loaded_dates"
_LOADED_COLUMNS = {"table_name": "text", "run_date": "date", "version": "text"}


@dataclass
class LoadSummary:
    """What a load did.

    Attributes:
        replaced: Dates of tables that were replaced, and those that the history no longer has.
        rows: Rows that were written.
        unchanged: Dates of tables whose files were those of the last load.
    """

    replaced: int = 0
    rows: int = 0
    unchanged: int = 0


def load(
    history: History, invocation: DbtInvocation, schema: str, on_date: Callable[[], None] = lambda: None
) -> LoadSummary:
    """Copy the history to the tables of a schema, and remove what the history no longer has.

    Args:
        history: Each table gets its own name and the column run_date.
        invocation: Its profile and target lead to the server.
        schema: Created where it is missing; nothing but offdag should write to it.
        on_date: Called after each date that was replaced.

    Returns:
        What was done. A load that is killed leaves each date either old or new, and loading again completes it.

    Raises:
        UsageError: The target is not Postgres, or cannot be reached or written.
    """
    kind = invocation.connection("type").get("type")
    if kind != "postgres":
        raise UsageError(
            f"the history can only be loaded into Postgres, and the target is {kind}",
            str(invocation.project_dir),
            "offdag monitor",
        )
    summary = LoadSummary()
    with ExitStack() as stack:
        # psycopg2 and SQLMesh raise many classes of errors.
        try:
            adapter = stack.enter_context(profile_adapter(invocation))
            adapter.create_schema(schema, warn_on_error=False)
            server = _Server(adapter, schema)
            server.make_table(_LOADED, _LOADED_COLUMNS)
            known = server.loaded_dates()
            for table in history.tables():
                server.make_table(table, {f.name: _TYPES[f.type] for f in [*history.schema(table), _RUN_DATE]})
                days = history.dates(table)
                gone = [day for name, day in known if name == table and day not in days]
                for day in (*days, *gone):
                    names = history.live_files(table, day)
                    version = hashlib.sha256("|".join(names).encode()).hexdigest()
                    if known.get((table, day)) == version:
                        summary.unchanged += 1
                        continue
                    frame = history.read_files(table, day, names)
                    server.replace(table, day, frame, version if day in days else None)
                    summary.rows += frame.num_rows
                    summary.replaced += 1
                    on_date()
        except OffdagError:
            raise
        except Exception as error:
            raise UsageError(
                f"the history cannot be loaded: {first_line(error)}",
                f"schema {schema} of the target {invocation.target or 'by default'}",
                "dbt debug",
            ) from error
    return summary


@dataclass(frozen=True)
class _Server:
    """The tables of one schema."""

    adapter: EngineAdapter
    schema: str

    def make_table(self, table: str, columns: dict[str, str]) -> None:
        """Make a table, or add the columns that a newer offdag has; a table that has them all is not touched."""
        cursor: Any = self.adapter.cursor
        cursor.execute(
            "select column_name from information_schema.columns where table_schema = %s and table_name = %s",
            (self.schema, table),
        )
        existing = {name for (name,) in cursor.fetchall()}
        missing = {name: kind for name, kind in columns.items() if name not in existing}
        if not missing:
            return
        relation = self._relation(table)
        with self.adapter.transaction():
            # The adapter has another cursor in each transaction.
            cursor = self.adapter.cursor
            # Otherwise a long reader would block it without end.
            cursor.execute(f"set local lock_timeout = '{_LOCK_SECONDS}s'")
            cursor.execute(f"create table if not exists {relation} ()")
            for name, kind in missing.items():
                cursor.execute(f"alter table {relation} add column if not exists {quoted(name)} {kind}")

    def loaded_dates(self) -> dict[tuple[str, date], str]:
        """Which files each date of each table was loaded from, as a hash."""
        cursor: Any = self.adapter.cursor
        cursor.execute(f"select table_name, run_date, version from {self._relation(_LOADED)}")
        return {(table, day): version for table, day, version in cursor.fetchall()}

    def replace(self, table: str, day: date, frame: pa.Table, version: str | None) -> None:
        """Replace the rows of a date, in one transaction with its version; None for a date that the history no longer has."""
        frame = _without_nul(frame).append_column(_RUN_DATE, pa.repeat(pa.scalar(day, pa.date32()), frame.num_rows))
        buffer = io.BytesIO()
        # Texts are quoted and nulls are not, so an empty text does not become null.
        pa_csv.write_csv(frame, buffer, pa_csv.WriteOptions(include_header=False))
        buffer.seek(0)
        relation, loaded = self._relation(table), self._relation(_LOADED)
        columns = ", ".join(quoted(name) for name in frame.column_names)
        with self.adapter.transaction():
            cursor: Any = self.adapter.cursor
            cursor.execute(f"delete from {relation} where run_date = %s", (day,))
            cursor.copy_expert(f"copy {relation} ({columns}) from stdin with (format csv)", buffer)
            cursor.execute(f"delete from {loaded} where table_name = %s and run_date = %s", (table, day))
            if version is not None:
                cursor.execute(f"insert into {loaded} values (%s, %s, %s)", (table, day, version))

    def _relation(self, table: str) -> str:
        return f"{quoted(self.schema)}.{quoted(table)}"


def _without_nul(frame: pa.Table) -> pa.Table:
    """The rows with U+FFFD for each NUL character, which Postgres cannot hold in a text."""
    columns = [
        pc.replace_substring_regex(column, r"\x00", "\ufffd") if pa.types.is_string(column.type) else column
        for column in frame.columns
    ]
    # In one chunk: pyarrow's CSV writer puts random bytes before an empty first one.
    return pa.table(columns, schema=frame.schema).combine_chunks()
