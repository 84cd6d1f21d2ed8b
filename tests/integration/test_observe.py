from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from offdag.collect.observe import Observer
from offdag.collect.observed_tables import ObservedTable, read_observed_tables
from offdag.config_folder import ConfigFolder
from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait
from offdag.errors import UsageError
from offdag.history.history import History
from sim import artifacts
from support.projects import SHOP, invocation, show

STOCK = ObservedTable(
    "stock", "p", "snapshot.p.stock", {"product_id": "string", "units": "int64", "counted_at": "timestamp"}, 100
)


@pytest.fixture
def project(tmp_path: Path) -> DbtInvocation:
    folder = tmp_path / "project"
    node = artifacts.node("snapshot.p.stock", schema="snapshots", alias="stock")
    artifacts.write(folder / "target", manifest=artifacts.manifest([node]))
    (folder / "dbt_project.yml").write_text("name: p\nprofile: p\n")
    (folder / "profiles.yml").write_text(
        "p:\n  target: prod\n  outputs:\n    prod: {type: duckdb, path: \"{{ env_var('SHOP_DB', 'shop.duckdb') }}\"}\n"
    )
    with duckdb.connect(str(folder / "shop.duckdb")) as connection:
        connection.execute("create schema snapshots")
        connection.execute(
            "create table snapshots.stock (product_id varchar, units integer, counted_at timestamptz, email varchar)"
        )
        connection.execute(
            "insert into snapshots.stock values ('moss', 5, '2026-01-31 06:00:00+00', 'ann@example.com')"
        )
    return invocation(folder)


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history"))


def observe(
    history: History, project: DbtInvocation, table: ObservedTable = STOCK, timeout: float = 5.0
) -> dict[str, Any]:
    [verdict] = Observer(history, project, "prod", LockWait("observe", timeout), show(project)).observe([table])
    return verdict


def test_only_the_named_columns_leave_the_database(history: History, project: DbtInvocation) -> None:
    assert observe(history, project)["verdict"] == "accepted"
    [row] = history.read("observed_stock").to_pylist()
    assert (row["product_id"], row["units"], row["counted_at"]) == ("moss", 5, datetime(2026, 1, 31, 6))
    assert (row["_project"], row["_environment"]) == ("p", "prod")
    assert "email" not in row


def test_the_same_content_is_not_written_twice(history: History, project: DbtInvocation) -> None:
    first = observe(history, project)
    second = observe(history, project)
    assert (second["verdict"], second["sha256"]) == ("duplicate", first["sha256"])
    assert history.read("observed_stock").num_rows == 1
    assert [r["verdict"] for r in history.read("artifact_verdicts").to_pylist()].count("duplicate") == 1


def test_rows_beyond_the_bound_are_cut_and_named(history: History, project: DbtInvocation) -> None:
    with duckdb.connect(str(project.project_dir / "shop.duckdb")) as connection:
        connection.execute("insert into snapshots.stock select 'p' || i, i, now(), '' from range(200) t(i)")
    assert "cut at max_rows = 100" in observe(history, project)["reason"]
    assert history.read("observed_stock").num_rows == 100


def test_tables_of_other_projects_are_passed_over(history: History, project: DbtInvocation) -> None:
    other = ObservedTable("stock", "another", "snapshot.p.stock", STOCK.columns, 100)
    assert Observer(history, project, "prod", LockWait("observe", 1.0), show(project)).observe([other]) == []


@pytest.fixture
def writer(project: DbtInvocation) -> Iterator[subprocess.Popen[str]]:
    """Another process that holds the database for writing until its stdin closes."""
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(project.project_dir / "shop.duckdb")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_locked_database_is_a_verdict_that_names_its_holder(
    history: History,
    project: DbtInvocation,
    writer: subprocess.Popen[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", "offdag")
    verdict = observe(history, project, timeout=0.5)
    assert verdict["verdict"] == "unreadable"
    assert f"process {writer.pid}" in verdict["reason"]
    assert f"process {writer.pid}" in caplog.text
    assert "observed_stock" not in history.tables()


def test_a_lock_that_is_released_in_time_is_waited_for(
    history: History, project: DbtInvocation, writer: subprocess.Popen[str]
) -> None:
    assert writer.stdin is not None
    timer = threading.Timer(0.7, writer.stdin.close)
    timer.start()
    start = time.monotonic()
    assert observe(history, project, timeout=20)["verdict"] == "accepted"
    assert time.monotonic() - start > 0.5


@pytest.mark.parametrize(
    "problem", ["missing", "garbage", "no table", "no node", "no manifest", "other type", "no profile"]
)
def test_what_cannot_be_copied_is_a_verdict(history: History, project: DbtInvocation, problem: str) -> None:
    database, table = project.project_dir / "shop.duckdb", STOCK
    if problem == "missing":
        database.unlink()
    elif problem == "garbage":
        database.write_bytes(b"no database at all" * 1000)
    elif problem == "no table":
        with duckdb.connect(str(database)) as connection:
            connection.execute("drop table snapshots.stock")
    elif problem == "no node":
        table = ObservedTable("stock", "p", "snapshot.p.other", STOCK.columns, 100)
    elif problem == "no manifest":
        (project.project_dir / "target" / "manifest.json").unlink()
    elif problem == "other type":
        table = ObservedTable(
            "stock", "p", "snapshot.p.stock", {"product_id": "int64", "units": "int64", "counted_at": "timestamp"}, 100
        )
    elif problem == "no profile":
        (project.project_dir / "profiles.yml").write_text("q: {}\n")
    verdict = observe(history, project, table)
    assert verdict["verdict"] == "unreadable"
    assert verdict["reason"]


def test_the_seed_of_the_project_can_be_used() -> None:
    stock, funnel = read_observed_tables(SHOP)
    assert stock.unique_id == "snapshot.inventory.product_inventory_snapshot"
    assert funnel.unique_id == "model.inventory.f_product_weekly_funnel"
    for table in (stock, funnel):
        assert table.schema.names[:5] == ["_project", "_environment", "_content_hash", "_observed_at", "_row_number"]


@pytest.mark.parametrize(
    "line", ["stock,p,u,id:money,5,", "a b,p,u,id:string,5,", "stock,p,u,id,5,", "stock,p,u,id:string,many,"]
)
def test_a_line_of_the_seed_that_cannot_be_used_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "observed_tables.csv").write_text(
        f"observed_table,project,unique_id,columns,max_rows,comment\n{line}\n"
    )
    with pytest.raises(UsageError) as caught:
        read_observed_tables(ConfigFolder(tmp_path, tmp_path))
    assert "line 2" in caught.value.where
