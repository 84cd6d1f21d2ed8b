"""The marts as Parquet files: the same rows as the monitor has, in a folder and in a bucket."""

from __future__ import annotations

from pathlib import Path

import duckdb

from support.command import offdag


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Each mart of the monitor's database, as sorted rows."""
    with duckdb.connect(str(path), read_only=True) as connection:
        query = "select table_name from information_schema.tables where regexp_matches(table_name, '^(fct|dim)_')"
        names = [name for (name,) in connection.execute(query).fetchall()]
        return {name: connection.execute(f"select * from {name} order by all").fetchall() for name in names}


def test_each_mart_is_a_file_with_its_rows(failure: Path) -> None:
    # Read literally, not as a pattern.
    marts = failure / "published[12]" / "marts"
    marts.mkdir(parents=True)
    # Of a mart that an earlier offdag had, and a file of somebody else.
    (marts / "fct_gone.parquet").write_bytes(b"old")
    (marts / "notes.txt").write_text("mine")
    (marts / "sales.parquet").write_text("mine")
    published = offdag(failure, "publish", str(failure / "published[12]"))
    assert published.code == 0, published
    expected = rows_of(failure / "monitor.duckdb")
    assert len(expected) > 30
    assert {path.stem for path in marts.glob("*.parquet")} == {*expected.keys(), "sales"}
    assert (marts / "notes.txt").read_text() == "mine"
    assert not list(marts.glob(".*"))
    for name, rows in expected.items():
        file = str(marts / f"{name}.parquet").replace("[", "[[]")
        assert duckdb.sql(f"select * from '{file}' order by all").fetchall() == rows, name
    total = sum(map(len, expected.values()))
    assert (
        f"published {len(expected)} marts with {total:,} rows into {failure / 'published[12]'}; 1 removed"
        in published.err
    )


def test_without_a_monitor_or_a_place_to_write_the_error_says_so(failure: Path, tmp_path: Path) -> None:
    none = offdag(tmp_path, "publish", str(tmp_path / "published"))
    assert none.code == 5, none
    assert "the monitor has not been built yet" in none.err
    (failure / "published").write_text("a file")
    refused = offdag(failure, "publish", str(failure / "published"))
    assert refused.code == 2, refused
    assert "the marts cannot be written: " in refused.err
    assert "Traceback" not in refused.err
