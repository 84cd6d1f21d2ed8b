"""Observed tables of a server warehouse, through the user's own dbt: a real Postgres."""

from __future__ import annotations

from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from bench import postgres
from offdag.collect.observe import Observer
from offdag.collect.observed_tables import ObservedTable
from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait
from offdag.history.history import History
from support.command import environ, run
from support.projects import invocation, show

COLUMNS = {
    "product_id": "string",
    "units": "int64",
    "price": "float64",
    "is_sold": "boolean",
    "counted_at": "timestamp",
    "counted_on": "date",
    "zoned_at": "timestamp",
}
STOCK = ObservedTable("stock", "p", "model.p.stock", COLUMNS, 2)
_ROWS = """
select '007' as product_id, 9007199254740993 as units, 0.1::float8 as price, true as is_sold,
    timestamp '2026-01-31 06:00:00.123456' as counted_at, date '2026-01-31' as counted_on,
    timestamptz '2026-01-31 06:00:00+05:30' as zoned_at, 'a' as email
union all select '006', null, null, null, null, null, null, 'b'
union all select '005', 1, 2.5, false, timestamp '2026-01-31 06:00:00', date '2026-01-31', timestamptz '2026-01-31 06:00:00+00', 'c'
"""


@pytest.fixture
def project(server: postgres.Postgres, tmp_path: Path) -> DbtInvocation:
    """A project that real dbt built in Postgres, in a schema and a table whose names need quotes."""
    folder = tmp_path / "project"
    (folder / "models").mkdir(parents=True)
    (folder / "dbt_project.yml").write_text(
        "name: p\nprofile: p\nmodels: {+materialized: table, +schema: Stock Room}\n"
    )
    (folder / "profiles.yml").write_text(f"p: {{target: prod, outputs: {{prod: {server.profile()}}}}}\n")
    (folder / "models" / "stock.sql").write_text("{{ config(alias='Stock Count') }}" + _ROWS)
    env = {k: v for k, v in environ(folder).items() if k not in ("DBT_TARGET_PATH", "DBT_LOG_PATH")}
    built = run(["dbt", "build"], env, cwd=folder)
    assert built.code == 0, built
    return invocation(folder)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history"))


def observe(history: History, table: ObservedTable, project: DbtInvocation) -> list[dict[str, Any]]:
    return Observer(history, project, "prod", LockWait("observe", 5.0), show(project)).observe([table])


def test_a_table_of_postgres_is_copied_cut_and_known_again(project: DbtInvocation, history: History) -> None:
    before = {path: path.read_bytes() for path in (project.target_path, project.log_path) for path in path.rglob("*.*")}
    [first] = observe(history, STOCK, project)
    [second] = observe(history, STOCK, project)
    assert (first["verdict"], second["verdict"]) == ("accepted", "duplicate"), (first, second)
    assert "cut at max_rows = 2" in first["reason"]
    rows = history.read("observed_stock").select(list(COLUMNS)).to_pylist()
    assert [tuple(row.values()) for row in rows] == [
        ("006", None, None, None, None, None, None),
        # Not a number, and more digits than a JSON number keeps. Instants are UTC.
        (
            "007",
            9007199254740993,
            0.1,
            True,
            datetime(2026, 1, 31, 6, 0, 0, 123456),
            date(2026, 1, 31),
            datetime(2026, 1, 31, 0, 30),
        ),
    ]
    # Nothing that the build left is touched.
    assert {path: path.read_bytes() for path in before} == before


def test_a_missing_table_is_a_verdict(project: DbtInvocation, history: History) -> None:
    absent = ObservedTable("stock", "p", "model.p.stock", {"no_such_column": "string"}, 2)
    [verdict] = observe(history, absent, project)
    assert verdict["verdict"] == "unreadable"
    assert "no_such_column" in verdict["reason"]


def test_a_server_that_is_down_is_a_verdict(project: DbtInvocation, history: History) -> None:
    (project.project_dir / "profiles.yml").write_text(
        "p: {target: prod, outputs: {prod: {type: postgres, host: 127.0.0.1, port: 9, user: u, password: hidden, dbname: d, schema: s}}}\n"
    )
    [verdict] = observe(history, STOCK, project)
    assert verdict["verdict"] == "unreadable"
    assert "hidden" not in verdict["reason"]
