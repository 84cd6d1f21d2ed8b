"""The history's tables in a real Postgres: the same rows as in the history, however often and wherever a load is stopped."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from bench import postgres
from offdag.clock import utc_now
from offdag.collect.collection import collect_files
from offdag.collect.context import Context
from offdag.collect.places import artifacts_in
from offdag.dbt.command import DbtInvocation
from offdag.errors import UsageError
from offdag.export.postgres import load
from offdag.history.compaction import compact
from offdag.history.history import History
from offdag.history.retention import prune
from sim import artifacts
from support.command import offdag
from support.projects import invocation

ODD = "a \"quote\", a comma,\na line; \\N \\. tab\t é 漢 and 'more'"


@pytest.fixture
def project(server: postgres.Postgres, tmp_path: Path) -> DbtInvocation:
    (tmp_path / "dbt_project.yml").write_text("name: p\nprofile: p\n")
    duck = "{type: duckdb, path: p.duckdb}"
    (tmp_path / "profiles.yml").write_text(
        f"p: {{target: prod, outputs: {{prod: {server.profile()}, duck: {duck}}}}}\n"
    )
    return invocation(tmp_path)


@pytest.fixture
def history(tmp_path: Path) -> History:
    history = History(str(tmp_path / "history"))
    for number in range(3):
        collect(history, tmp_path / str(number), number)
    return history


def collect(history: History, folder: Path, days: int) -> None:
    at = artifacts.NOW + timedelta(days=days // 2, hours=days)
    results = [
        artifacts.result("model.p.a", at=at, message=ODD),
        artifacts.result("model.p.b", "skipped", at, message=""),
    ]
    nodes = [artifacts.node("model.p.a", description=ODD), artifacts.node("model.p.b", ("model.p.a",))]
    artifacts.write(folder, manifest=artifacts.manifest(nodes, at), run_results=artifacts.run_results(results, at))
    collect_files(history, artifacts_in(str(folder)), Context(environment="prod"))


def rows(server: postgres.Postgres, schema: str, table: str, columns: list[str]) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(host="127.0.0.1", port=server.port, user=server.user, dbname="postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute(f"select {', '.join(columns)} from {schema}.{table}")
        found = cursor.fetchall()
    connection.close()
    return sorted(found, key=repr)


def assert_equal(server: postgres.Postgres, schema: str, history: History) -> None:
    for table, arrow in [(table, history.schema(table)) for table in history.tables()]:
        expected = {tuple(row.values()) for row in history.read(table).to_pylist()}
        found = rows(server, schema, table, arrow.names)
        assert len(found) == len(expected), table
        assert set(found) == expected, table


def test_the_tables_hold_the_same_rows_as_the_history(
    server: postgres.Postgres, project: DbtInvocation, history: History, tmp_path: Path
) -> None:
    first = load(history, project, "whole")
    assert first.rows == sum(history.read(table).num_rows for table in history.tables())
    assert_equal(server, "whole", history)
    again = load(history, replace(project, target="prod"), "whole")
    assert (again.replaced, again.rows, again.unchanged) == (0, 0, first.replaced)
    collect(history, tmp_path / "new", 3)
    third = load(history, project, "whole")
    # The dates of the new run alone: its results, its invocation, its verdicts.
    assert 0 < third.replaced < first.replaced
    assert_equal(server, "whole", history)


def test_merged_files_are_the_same_rows(server: postgres.Postgres, project: DbtInvocation, history: History) -> None:
    load(history, project, "merged")
    compact(history, utc_now())
    load(history, project, "merged")
    assert_equal(server, "merged", history)
    assert rows(server, "merged", "node_results", ["message"]).count((ODD,)) == 3


def test_a_load_that_ends_in_between_is_completed(
    server: postgres.Postgres, project: DbtInvocation, history: History
) -> None:
    class SimulatedKill(BaseException):
        pass

    done = 0

    def killed() -> None:
        nonlocal done
        done += 1
        if done == 4:
            raise SimulatedKill

    with pytest.raises(SimulatedKill):
        load(history, project, "killed", killed)
    rest = load(history, project, "killed")
    assert rest.unchanged == 4
    assert_equal(server, "killed", history)


def test_columns_of_a_newer_offdag_are_added(
    server: postgres.Postgres, project: DbtInvocation, history: History
) -> None:
    load(history, project, "older")
    connection = psycopg2.connect(host="127.0.0.1", port=server.port, user=server.user, dbname="postgres")
    with connection, connection.cursor() as cursor:
        cursor.execute("alter table older.invocations drop column pull_request")
        cursor.execute("delete from older.loaded_dates")
    connection.close()
    load(history, project, "older")
    assert_equal(server, "older", history)


def test_other_targets_and_missing_servers_are_named(project: DbtInvocation, history: History, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="only be loaded into Postgres, and the target is duckdb"):
        load(history, replace(project, target="duck"), "x")
    broken = "p: {target: prod, outputs: {prod: {type: postgres, host: 127.0.0.1, port: 1, user: u, password: p, dbname: d, schema: s}}}"
    (tmp_path / "profiles.yml").write_text(broken)
    with pytest.raises(UsageError, match="the history cannot be loaded"):
        load(history, invocation(tmp_path), "x")


def test_the_verb(project: DbtInvocation, history: History, tmp_path: Path) -> None:
    ended = offdag(tmp_path, "load", "--project-dir", str(tmp_path), "--schema", "verb")
    assert ended.code == 0, ended
    assert "rows into the schema verb" in ended.err


def test_a_nul_character_stops_nothing(
    server: postgres.Postgres, project: DbtInvocation, history: History, tmp_path: Path
) -> None:
    results = [artifacts.result("model.p.a", message="before\x00after")]
    artifacts.write(tmp_path / "nul", run_results=artifacts.run_results(results, invocation_id="with-a-nul"))
    collect_files(history, artifacts_in(str(tmp_path / "nul")), Context("p", "prod"))
    load(history, project, "nul")
    assert ("before\ufffdafter",) in rows(server, "nul", "node_results", ["message"])


def test_a_reader_that_stays_does_not_stop_a_load_of_known_tables(
    server: postgres.Postgres, project: DbtInvocation, history: History, tmp_path: Path
) -> None:
    load(history, project, "busy")
    reader = psycopg2.connect(host="127.0.0.1", port=server.port, user=server.user, dbname="postgres")
    with reader.cursor() as cursor:
        # Its lock lasts until the transaction ends, and would block any alter table.
        cursor.execute("select count(*) from busy.invocations")
        collect(history, tmp_path / "new", 3)
        assert load(history, project, "busy").replaced > 0
    reader.close()


def test_pruned_dates_leave_postgres(server: postgres.Postgres, project: DbtInvocation, history: History) -> None:
    load(history, project, "pruned")
    first = min(history.dates("invocations"))
    prune(history, first + timedelta(days=1))
    # On an object store an empty folder does not exist.
    for table in ("invocations", "node_results"):
        (Path(history.root) / "tables" / table / f"run_date={first}").rmdir()
    load(history, project, "pruned")
    assert_equal(server, "pruned", history)
    assert (first,) not in rows(server, "pruned", "invocations", ["run_date"])
