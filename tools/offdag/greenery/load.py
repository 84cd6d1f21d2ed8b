"""The loader: CSV files of any origin into the ``raw`` schema of the shop's database."""

from __future__ import annotations

import csv
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import duckdb

from offdag.greenery import raw
from offdag.greenery.errors import GreeneryError

# How far back a source that stopped loading is left: beyond every freshness threshold of the shop.
STOPPED_FOR = timedelta(days=7)


def load_folder(
    folder: Path, database: Path, loaded_at: datetime, stopped: Collection[str] = ()
) -> tuple[dict[str, int], list[str]]:
    """Replace the raw tables by the folder's CSV files, all in one transaction.

    Args:
        folder: Holds one ``<table>.csv`` for each raw table.
        database: The DuckDB file; made where it is missing.
        loaded_at: Naive UTC; becomes ``_loaded_at`` of every row.
        stopped: Tables that pretend to have been loaded last seven days before.

    Returns:
        The number of rows by table, and remarks to show the user.

    Raises:
        GreeneryError: A file or column is missing, a value has the wrong type, or the database is locked.
    """
    unknown = set(stopped) - set(raw.TABLES)
    if unknown:
        raise GreeneryError(
            f"there is no raw table {', '.join(sorted(unknown))}",
            "--stopped",
            f"python -m offdag.greenery load --help    # the tables are {', '.join(raw.TABLES)}",
        )
    columns = {table: _check_columns(folder, table) for table in raw.TABLES}
    remarks = [
        f"{table}.csv has no {column}: the time of loading is taken"
        for table, optional in raw.OPTIONAL_COLUMNS.items()
        for column in optional
        if column not in columns[table]
    ]
    database.parent.mkdir(parents=True, exist_ok=True)
    counts: dict[str, int] = {}
    try:
        connection = duckdb.connect(str(database))
    except duckdb.IOException as error:
        raise GreeneryError(
            "the database cannot be opened: " + str(error).splitlines()[0],
            str(database),
            f"python -m offdag.greenery load --help    # after ending what uses {database.name}, or with another --database",
        ) from error
    with connection:
        connection.execute("begin")
        connection.execute("create schema if not exists raw")
        for table in raw.TABLES:
            at = loaded_at - STOPPED_FOR if table in stopped else loaded_at
            counts[table] = _load_table(connection, folder, table, columns[table], at)
        connection.execute("commit")
    return counts, remarks


def _check_columns(folder: Path, table: str) -> list[str]:
    path = folder / f"{table}.csv"
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            header = next(csv.reader(file), [])
    except OSError as error:
        raise GreeneryError(
            f"cannot read {path.name}: {error.strerror}", str(path), "python -m offdag.greenery generate --help"
        ) from error
    optional = raw.OPTIONAL_COLUMNS.get(table, ())
    missing = [c for c in raw.TABLES[table] if c not in header and c not in optional]
    if missing:
        raise GreeneryError(
            f"{path.name} lacks the column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            f"{path}, line 1",
            "python -m offdag.greenery load --help    # after adding it to the file",
        )
    return header


def _load_table(
    connection: duckdb.DuckDBPyConnection, folder: Path, table: str, header: Collection[str], loaded_at: datetime
) -> int:
    path = folder / f"{table}.csv"
    types: Mapping[str, str] = raw.TABLES[table]
    selected = ", ".join(
        f"cast({_quoted(c)} as {t}) as {_quoted(c)}" if c in header else f"cast($loaded_at as {t}) as {_quoted(c)}"
        for c, t in types.items()
    )
    statement = (
        f"create or replace table raw.{_quoted(table)} as select {selected}, cast($loaded_at as timestamp) as _loaded_at "
        "from read_csv($path, header = true, all_varchar = true, delim = ',')"
    )
    try:
        connection.execute(statement, {"path": str(path), "loaded_at": loaded_at})
    except duckdb.Error as error:
        raise GreeneryError(
            f"{path.name} has a value of the wrong type: {str(error).splitlines()[0]}",
            str(path),
            "python -m offdag.greenery load --help    # after correcting the file",
        ) from error
    row = connection.execute(f"select count(*) from raw.{_quoted(table)}").fetchone()
    return int(row[0]) if row else 0


def _quoted(identifier: str) -> str:
    return '"' + identifier.replace('"', '""') + '"'
