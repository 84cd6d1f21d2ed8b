"""The history's tables in a Postgres server, for people who ask them there. Whole dates are replaced, each in one transaction."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv as pa_csv

from offdag.dbt.profile_adapter import profile_adapter
from offdag.dbt.project import DbtProject
from offdag.duckdb_files import quoted
from offdag.errors import UsageError, brief
from offdag.history.history import History, date_folder, replaced_names

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
# Which files a date was loaded from.
_LOADED = "loaded_dates"
_LOADED_COLUMNS = {"table_name": "text", "run_date": "date", "version": "text"}


@dataclass
class Loaded:
    """What a load did.

    Attributes:
        dates: Dates of tables that were replaced.
        rows: Rows that were written.
        unchanged: Dates of tables whose files were those of the load before.
    """

    dates: int = 0
    rows: int = 0
    unchanged: int = 0


def load(
    history: History, project: DbtProject, target: str | None, schema: str, on_date: Callable[[], None] = lambda: None
) -> Loaded:
    """Bring the tables of a schema to what the history holds.

    Args:
        history: Whose tables; each gets its own name and the column run_date.
        project: Whose profile leads to the server.
        target: Target of the profile; None for its default.
        schema: Made where it is missing; nothing but offdag should write to it.
        on_date: Called after each date that was replaced.

    Returns:
        What was done. Killed at any moment, a date is as it was before or as it is now, and loading again completes it.

    Raises:
        UsageError: The target is no Postgres, or cannot be reached or written.
    """
    kind = project.connection(target, "type").get("type")
    if kind != "postgres":
        raise UsageError(
            f"the history can be loaded into Postgres alone, and the target is {kind}",
            str(project.folder),
            "offdag monitor",
        )
    done = Loaded()
    with ExitStack() as stack:
        # psycopg2 and SQLMesh raise errors of their own, of many kinds.
        try:
            adapter = stack.enter_context(profile_adapter(project, target))
            adapter.create_schema(schema, warn_on_error=False)
            _make_table(adapter, schema, _LOADED, _LOADED_COLUMNS)
            known = _known(adapter, schema)
            for table, arrow in history.schemas.items():
                fields = [*arrow, _RUN_DATE]
                _make_table(adapter, schema, table, {field.name: _TYPES[field.type] for field in fields})
                for day in history.dates(table):
                    names = _live_names(history, table, day)
                    version = hashlib.sha256("|".join(names).encode()).hexdigest()
                    if known.get((table, day)) == version:
                        done.unchanged += 1
                        continue
                    done.rows += _replace(adapter, schema, history, table, day, names, version)
                    done.dates += 1
                    on_date()
        except UsageError:
            raise
        except Exception as error:
            raise UsageError(
                f"the history cannot be loaded: {brief(error)}",
                f"schema {schema} of the target {target or 'by default'}",
                "dbt debug",
            ) from error
    return done


def _live_names(history: History, table: str, day: date) -> list[str]:
    """The files of a date without those whose rows are in a merged one."""
    replaced = replaced_names(history.merged_files(table, day).values())
    names = history.store.names(date_folder(table, day))
    return [name for name in names if name.endswith(".parquet") and name not in replaced]


def _replace(
    adapter: EngineAdapter, schema: str, history: History, table: str, day: date, names: list[str], version: str
) -> int:
    frames = [history.read_file(table, f"{date_folder(table, day)}/{name}") for name in names]
    frame = pa.concat_tables(frames) if frames else history.schemas[table].empty_table()
    frame = frame.append_column(_RUN_DATE, pa.repeat(pa.scalar(day, pa.date32()), frame.num_rows))
    buffer = io.BytesIO()
    # Texts are quoted and nulls are not: an empty text stays one.
    pa_csv.write_csv(frame, buffer, pa_csv.WriteOptions(include_header=False))
    buffer.seek(0)
    relation, loaded = (f"{quoted(schema)}.{quoted(name)}" for name in (table, _LOADED))
    columns = ", ".join(quoted(name) for name in frame.column_names)
    with adapter.transaction():
        cursor: Any = adapter.cursor
        cursor.execute(f"delete from {relation} where run_date = %s", (day,))
        cursor.copy_expert(f"copy {relation} ({columns}) from stdin with (format csv)", buffer)
        cursor.execute(f"delete from {loaded} where table_name = %s and run_date = %s", (table, day))
        cursor.execute(f"insert into {loaded} values (%s, %s, %s)", (table, day, version))
    return int(frame.num_rows)


def _make_table(adapter: EngineAdapter, schema: str, table: str, columns: dict[str, str]) -> None:
    """Make a table, or add the columns that a newer offdag has."""
    relation = f"{quoted(schema)}.{quoted(table)}"
    with adapter.transaction():
        cursor: Any = adapter.cursor
        cursor.execute(f"create table if not exists {relation} ()")
        for name, kind in columns.items():
            cursor.execute(f"alter table {relation} add column if not exists {quoted(name)} {kind}")


def _known(adapter: EngineAdapter, schema: str) -> dict[tuple[str, date], str]:
    cursor: Any = adapter.cursor
    cursor.execute(f"select table_name, run_date, version from {quoted(schema)}.{quoted(_LOADED)}")
    return {(table, day): version for table, day, version in cursor.fetchall()}
