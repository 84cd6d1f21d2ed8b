"""Observed tables of a server warehouse, through the dbt profile and SQLMesh's adapter: a real Postgres."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from bench import postgres
from offdag.collect.observe import Observer
from offdag.collect.observed_tables import ObservedTable
from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait
from offdag.history.history import History
from support import artifacts
from support.projects import invocation

STOCK = ObservedTable(
    "stock", "p", "snapshot.p.stock", {"product_id": "string", "units": "int64", "counted_at": "timestamp"}, 2
)


@pytest.fixture
def project(server: postgres.Postgres, tmp_path: Path) -> DbtInvocation:
    folder = tmp_path / "project"
    node = artifacts.node("snapshot.p.stock", database="postgres", schema="Stock Room", alias="stock")
    artifacts.write(folder / "target", manifest=artifacts.manifest([node]))
    (folder / "dbt_project.yml").write_text("name: p\nprofile: p\n")
    (folder / "profiles.yml").write_text(f"p: {{target: prod, outputs: {{prod: {server.profile()}}}}}\n")
    return invocation(folder)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history"))


def observe(history: History, table: ObservedTable, project: DbtInvocation) -> list[dict[str, Any]]:
    return Observer(history, project, "prod", LockWait("observe", 5.0)).observe([table])


def test_a_table_of_postgres_is_copied_cut_and_known_again(
    server: postgres.Postgres, project: DbtInvocation, history: History
) -> None:
    connection = psycopg2.connect(host="127.0.0.1", port=server.port, user=server.user, dbname="postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute('create schema "Stock Room"')
        cursor.execute('create table "Stock Room".stock (product_id text, units int, counted_at timestamp, email text)')
        cursor.execute(
            """insert into "Stock Room".stock values
            ('moss', 5, '2026-01-31 06:00:00', 'a'), ('fern', null, '2026-01-31 06:00:00', 'b'), ('palm', 1, '2026-01-31 06:00:00', 'c')"""
        )
    connection.close()
    [first] = observe(history, STOCK, project)
    [second] = observe(history, STOCK, project)
    assert (first["verdict"], second["verdict"]) == ("accepted", "duplicate"), (first, second)
    assert "cut at max_rows = 2" in first["reason"]
    rows = history.read("observed_stock").to_pylist()
    assert [(r["product_id"], r["units"], r["counted_at"]) for r in rows] == [
        ("fern", None, datetime(2026, 1, 31, 6)),
        ("moss", 5, datetime(2026, 1, 31, 6)),
    ]


def test_a_missing_table_is_a_verdict(project: DbtInvocation, history: History) -> None:
    absent = ObservedTable("stock", "p", "snapshot.p.stock", {"no_such_column": "string"}, 2)
    [verdict] = observe(history, absent, project)
    assert verdict["verdict"] == "unreadable"
    assert "cannot be read" in verdict["reason"]


def test_a_server_that_is_down_is_a_verdict(project: DbtInvocation, history: History) -> None:
    (project.project_dir / "profiles.yml").write_text(
        "p: {target: prod, outputs: {prod: {type: postgres, host: 127.0.0.1, port: 9, user: u, password: hidden, dbname: d, schema: s}}}\n"
    )
    [verdict] = observe(history, STOCK, project)
    assert verdict["verdict"] == "unreadable"
    assert "hidden" not in verdict["reason"]
