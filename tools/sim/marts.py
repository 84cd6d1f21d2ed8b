"""The tables of a monitor's database, to compare two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb


def marts(database: Path, without: tuple[str, ...] = ()) -> dict[str, list[tuple[Any, ...]]]:
    """Rows of all tables of a monitor's database, in order, but for tables and columns of some names."""
    with duckdb.connect(str(database), read_only=True) as connection:
        columns = connection.execute(
            """
            select table_name, string_agg('"' || column_name || '"', ', ' order by ordinal_position)
            from information_schema.columns
            inner join information_schema.tables using (table_catalog, table_schema, table_name)
            where table_type = 'BASE TABLE' and not list_contains(?, table_name) and not list_contains(?, column_name)
            group by table_name
            """,
            [without, without],
        ).fetchall()
        return {
            table: connection.execute(f'select {names} from "{table}" order by all').fetchall()
            for table, names in sorted(columns)
        }
