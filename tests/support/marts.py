"""The tables of a monitor's database, to compare two of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import duckdb


def marts(database: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All tables of a monitor's database, but for the version of the files that were read."""
    with duckdb.connect(str(database), read_only=True) as connection:
        names = [
            r[0]
            for r in connection.execute(
                "select table_name from information_schema.tables where table_type = 'BASE TABLE'"
            ).fetchall()
        ]
        return {name: connection.execute(f'select * from "{name}" order by all').fetchall() for name in sorted(names)}
