"""A file that cannot be opened: the remedy is that of its cause."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pytest

from offdag.duckdb_files import LockWait, open_read_only
from offdag.errors import MonitorError

WAIT = LockWait("incidents", 1.0)


def remedy(path: Path) -> tuple[str, str]:
    with pytest.raises(MonitorError) as caught:
        open_read_only(path, WAIT)
    return caught.value.what, caught.value.next_command


def test_a_file_that_is_something_else_is_moved_away(tmp_path: Path) -> None:
    path = tmp_path / "x.duckdb"
    path.write_bytes(b"something else" * 1000)
    assert remedy(path) == ("the file is not a DuckDB database", f"mv {path} {path}.bad")


def test_a_newer_database_asks_for_a_newer_duckdb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise duckdb.IOException(
            "Trying to read a database file with version number 99, but we can only read versions between 64 and 67."
        )

    monkeypatch.setattr(duckdb, "connect", refuse)
    what, next_command = remedy(tmp_path / "x.duckdb")
    assert what == "a newer DuckDB wrote the database"
    assert next_command == "python -m pip install --upgrade duckdb"


def test_any_other_trouble_is_shown_as_it_is(tmp_path: Path) -> None:
    folder = tmp_path / "x.duckdb"
    folder.mkdir()
    what, next_command = remedy(folder)
    assert what.startswith("the database cannot be opened: IO Error")
    assert next_command == f"ls -l {folder}"
    assert "upgrade" not in next_command
