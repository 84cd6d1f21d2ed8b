"""The monitor built by real dbt: on an empty history, with all its tests, late files, copies of rows, other processes in the way."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from offdag.collect.observed_tables import declare_observed_tables
from offdag.history.history import History
from sim import artifacts
from sim.marts import marts
from support.command import ROOT, config_folder, environ, offdag, run
from support.projects import SHOP


def build(folder: Path, day: int, *results: dict[str, Any]) -> Path:
    at = artifacts.NOW + timedelta(days=day)
    nodes = [artifacts.node("model.p.a"), artifacts.node("model.p.b", ("model.p.a",))]
    return artifacts.write(
        folder, manifest=artifacts.manifest(nodes, at), run_results=artifacts.run_results(list(results), at)
    )


def test_an_empty_history_builds_with_all_tests(tmp_path: Path) -> None:
    ended = offdag(tmp_path, "monitor", "--all-tests")
    assert ended.code == 0, ended
    assert "incidents: 0 open, 0 ended" in ended.err


@pytest.mark.slow
def test_what_is_about_a_table_that_is_not_observed_is_not_built(tmp_path: Path) -> None:
    (tmp_path / "offdag" / "seeds").mkdir(parents=True)
    failed = build(tmp_path / "day0", 0, artifacts.result("model.p.a", "error", artifacts.NOW))
    assert offdag(tmp_path, "collect", str(failed), "--environment", "prod").code == 0
    more = ["--config-dir", str(tmp_path / "offdag")]
    as_of = (artifacts.NOW + timedelta(hours=1)).isoformat()
    ended = offdag(tmp_path, "monitor", "--as-of", as_of, *more)
    assert ended.code == 0, ended
    assert "incidents: 1 open" in ended.err
    with duckdb.connect(str(tmp_path / "monitor.duckdb"), read_only=True) as connection:
        made = {name for (name,) in connection.execute("select table_name from duckdb_tables()").fetchall()}
    assert "fct_incidents" in made
    assert not {name for name in made if "stock" in name}
    assert offdag(tmp_path, "report").code == 0


@pytest.mark.slow
def test_plain_dbt_build_works_too_from_the_root_without_a_history(tmp_path: Path) -> None:
    command = ["dbt", "build", "--exclude-resource-type", "unit_test"]
    built = run([*command, "--project-dir", "monitor_project", "--profiles-dir", "monitor_project"], environ(tmp_path))
    assert built.code == 0, built
    again = offdag(tmp_path, "monitor")
    assert again.code == 0, again


def test_rows_that_a_compaction_shows_twice_count_once(home: Path) -> None:
    folder = build(home / "target", 0, artifacts.result("model.p.a"))
    offdag(home, "collect", "-e", "prod", str(folder))
    for path in list((home / "history" / "tables").rglob("run_date=2026*/*.parquet")):
        path.with_name(f"copy-{path.name}").write_bytes(path.read_bytes())
    ended = offdag(home, "monitor")
    assert ended.code == 0, ended
    assert len(marts(home / "monitor.duckdb")["fct_node_executions"]) == 1


@pytest.mark.slow
def test_rows_that_older_rules_made_are_computed_again(tmp_path: Path) -> None:
    as_of = ["monitor", "--as-of", "2026-02-10T00:00:00"]
    folder = build(tmp_path / "target", 0, artifacts.result("model.p.a"))
    assert offdag(tmp_path, "collect", "-e", "prod", str(folder)).code == 0
    project = tmp_path / "monitor_project"
    shutil.copytree(ROOT / "monitor_project", project, ignore=shutil.ignore_patterns("target", "logs"))
    env = {"OFFDAG_MONITOR_PROJECT_DIR": str(project)}
    assert offdag(tmp_path, *as_of, env=env).code == 0
    with duckdb.connect(str(tmp_path / "monitor.duckdb")) as connection:
        [(sound,)] = connection.execute("select execution_seconds from fct_node_executions").fetchall()
        connection.execute("update fct_node_executions set execution_seconds = 1e300")
    model = project / "models" / "marts" / "runs" / "fct_node_executions.sql"
    model.write_text(model.read_text() + "\n-- another rule\n")
    assert offdag(tmp_path, *as_of, env=env).code == 0
    with duckdb.connect(str(tmp_path / "monitor.duckdb")) as connection:
        assert connection.execute("select execution_seconds from fct_node_executions").fetchall() == [(sound,)]


@pytest.mark.slow
def test_a_database_with_seeds_of_other_columns_is_taken_over(tmp_path: Path) -> None:
    assert offdag(tmp_path, "monitor").code == 0
    with duckdb.connect(str(tmp_path / "monitor.duckdb")) as connection:
        connection.execute("alter table alert_routes drop column folder")
    ended = offdag(tmp_path, "monitor")
    assert ended.code == 0, ended


def test_files_that_are_merged_are_not_read_again(home: Path) -> None:
    for day in range(2):
        for hour in range(2):
            at = artifacts.NOW + timedelta(days=day, hours=hour)
            folder = home / f"{day}-{hour}"
            artifacts.write(folder, run_results=artifacts.run_results([artifacts.result("model.p.a", at=at)], at))
            assert offdag(home, "collect", "-e", "prod", "--project", "p", str(folder)).code == 0
    originals = list((home / "history/tables/node_results").glob("run_date=2026*/*.parquet"))
    assert offdag(home, "compact").code == 0
    assert len(list((home / "history/tables/node_results").glob("run_date=2026*/merged-*.parquet"))) == 2
    for path in originals:
        path.write_bytes(b"not to be opened any more")
    ended = offdag(home, "monitor")
    assert ended.code == 0, ended
    assert len(marts(home / "monitor.duckdb")["fct_node_executions"]) == 4


def test_odd_artifacts_of_one_project_never_silence_another(home: Path) -> None:
    """In a scheduled run the monitor's tests on collected data only warn, so that alerts are still sent."""
    at = artifacts.NOW
    twice = {"invocation_id": "the-same-on-two-days"}
    tables = home / "history" / "tables" / "invocations"
    odd = [
        artifacts.run_results([artifacts.result("model.q.a"), artifacts.result("model.q.a"), {"unique_id": None}], at),
        artifacts.run_results([artifacts.result("model.q.a")], at, **twice),
        artifacts.run_results([artifacts.result("model.q.a")], at + timedelta(days=1), **twice),
        artifacts.run_results([artifacts.result("model.q.a")], datetime(1970, 1, 1, 1)),
    ]
    for number, document in enumerate(odd):
        folder = artifacts.write(home / f"odd{number}", run_results=document)
        assert offdag(home, "collect", "-e", "dev", "--project", "q", str(folder)).code == 0
    # As an offdag before 0.2 left them: one id on two days.
    [first] = tables.glob("run_date=2026-01-31/the-same-on-two-days.parquet")
    shutil.copy(first, tables / "run_date=2026-02-01")
    offdag(home, "collect", "-e", "prod", str(build(home / "target", 0, artifacts.result("model.p.a", "error"))))
    ended = offdag(home, "monitor", "--as-of", "2026-02-01T00:00:00")
    assert ended.code == 0, ended
    assert "incidents: 1 open" in ended.err
    # They are reported, though.
    assert "unique_combination_fct_invocations" in ended.err


def test_a_failed_start_is_an_incident_until_a_build_comes_to_an_end(home: Path) -> None:
    project = home / "project"
    project.mkdir()
    (project / "dbt_project.yml").write_text("name: p\n")
    command = [
        "run",
        "-e",
        "prod",
        "--project-dir",
        str(project),
        "--no-observe",
        "--",
        sys.executable,
        "-c",
        "import sys; sys.exit(2)",
        "build",
    ]
    assert offdag(home, *command).code == 2
    offdag(home, "monitor")
    shown = offdag(home, "incidents", "--format", "json")
    assert '"title": "the build did not start"' in shown.out, shown


@pytest.mark.slow
def test_the_monitor_never_sees_the_shops_variables(tmp_path: Path) -> None:
    """They would send it to the other project, and its artifacts over the other project's."""
    trap = {
        "DBT_TARGET": "ci",
        "DBT_PROJECT_DIR": "/nowhere",
        "DBT_PROFILES_DIR": "/nowhere",
        "DBT_TARGET_PATH": str(tmp_path / "theirs"),
    }
    ended = offdag(tmp_path, "monitor", env=trap)
    assert ended.code == 0, ended
    assert not (tmp_path / "theirs").exists()


@pytest.mark.slow
def test_channel_and_environments_come_from_variables(tmp_path: Path) -> None:
    failed = build(tmp_path / "day0", 0, artifacts.result("model.p.a", "error", artifacts.NOW))
    assert offdag(tmp_path, "collect", str(failed), "--environment", "staging").code == 0
    env = {"OFFDAG_ALERTING_ENVIRONMENTS": "prod, staging", "OFFDAG_SLACK_CHANNEL": "#builds'"}
    as_of = (artifacts.NOW + timedelta(hours=1)).isoformat()
    ended = offdag(tmp_path, "monitor", "--as-of", as_of, env=env)
    assert ended.code == 0, ended
    assert "incidents: 1 open" in ended.err
    with duckdb.connect(str(tmp_path / "monitor.duckdb"), read_only=True) as connection:
        assert connection.execute("select distinct channel from fct_notifications_due").fetchall() == [("#builds'",)]


def test_a_locked_database_is_waited_for_and_its_holder_named(home: Path) -> None:
    assert offdag(home, "monitor").code == 0
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home / "monitor.duckdb")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        for verb in ("monitor", "incidents"):
            ended = offdag(home, verb, "--lock-timeout", "1")
            assert ended.code == 5, ended
            assert f"{verb} waits for process {holder.pid}" in ended.err
            assert "error: " in ended.err
            assert "Traceback" not in ended.err
    assert offdag(home, "monitor", "--lock-timeout", "1").code == 0


def test_a_run_is_recorded_with_its_seeds(home: Path) -> None:
    offdag(home, "monitor", "--as-of", "2026-02-10T00:00:00Z")
    [row] = History(str(home / "history")).read("monitor_runs").to_pylist()
    assert row["exit_code"] == 0
    assert str(row["as_of"]) == "2026-02-10 00:00:00"
    assert "alert_routes.csv" in row["seeds"]


def test_problems_can_be_an_exit_code(failure: Path) -> None:
    assert offdag(failure, "incidents").code == 0
    assert offdag(failure, "incidents", "--fail-on", "incidents").code == 1
    assert offdag(failure, "monitor", "--fail-on", "incidents").code == 1


def test_no_problem_is_exit_code_zero(home: Path) -> None:
    assert offdag(home, "monitor", "--fail-on", "incidents").code == 0


EXTREMES: dict[str, list[Any]] = {
    "int64": [2**63 - 1, -(2**63), 0, -1],
    "double": [1e308, -1e308, 1e18, 1e15, 5e-324, float("inf"), float("nan")],
    "timestamp[us]": [datetime(1, 1, 1), datetime(9999, 12, 31, 23, 59, 59, 999999), datetime(1969, 12, 31)],
}


def test_no_value_that_a_table_can_hold_stops_the_monitor(home: Path) -> None:
    """Each extreme of each column of each table, in a row of its own beside plain ones, and another project's alert."""
    at = artifacts.NOW
    build(home / "sound", 0, artifacts.result("model.p.a", "error"))
    assert offdag(home, "collect", "-e", "prod", str(home / "sound")).code == 0
    history = History(str(home / "history"))
    declare_observed_tables(history, SHOP)
    plain: dict[str, Any] = {
        "project": "odd", "_project": "odd", "environment": "prod", "_environment": "prod", "generated_at": at, "command": "build",
        "is_build": True, "resource_type": "model", "started_at": at, "ended_at": at, "execute_started_at": at, "completed_at": at,
        "execution_seconds": 2.0, "result_count": 1, "max_loaded_at": at, "checked_at": at, "age_seconds": 60.0,
        "error_after_seconds": 3600, "warn_after_seconds": 60, "is_partial": False, "manifest_hash": "odd", "has_freshness": True,
        "collected_at": at, "_observed_at": at, "_content_hash": "odd", "dbt_valid_from": at, "has_results": True, "exit_code": 0,
    }  # fmt: skip
    written = 0
    for table in history.tables():
        if table in ("monitor_runs", "deliveries"):
            continue
        schema = history.schema(table)
        rows = []
        for column in schema:
            for value in EXTREMES.get(str(column.type), []):
                written += 1
                ids = {
                    c.name: f"odd-{written}"
                    for c in schema
                    if c.name.endswith(("_id", "unique_id")) or c.name == "product_id"
                }
                known = {name: found for name, found in {**plain, **ids}.items() if name in schema.names}
                status = {"status": "error"} if "status" in schema.names else {}
                rows.append({**known, **status, column.name: value})
        history.put(table, at.date(), "odd", rows)
    assert written > 100
    ended = offdag(home, "monitor", "--as-of", "2026-02-10T00:00:00")
    assert ended.code == 0, ended
    incidents = json.loads(offdag(home, "incidents", "--format", "json").out)
    assert "model a failed" in {row["title"] for row in incidents if row["project"] == "p"}


def test_a_threshold_of_a_century_is_never_passed_and_silences_nothing(home: Path) -> None:
    found = []
    for name, count in (("t", 36_500), ("u", 876_000)):
        check = artifacts.freshness(f"source.p.s.{name}", "pass")
        check["criteria"]["error_after"] = {"count": count, "period": "day"}
        found.append(check)
    target = artifacts.write(home / "target", sources=artifacts.sources(found))
    assert offdag(home, "collect", "-e", "prod", "--project", "p", str(target)).code == 0
    assert offdag(home, "monitor", "--as-of", "2026-02-10T00:00:00").code == 0


def test_a_new_nodes_failure_is_open_beside_an_older_manifest(home: Path) -> None:
    old = artifacts.manifest(
        [artifacts.node("model.p.a")], artifacts.NOW, invocation_id="manifest-of-an-earlier-command"
    )
    at = artifacts.NOW + timedelta(hours=1)
    results = artifacts.run_results([artifacts.result("model.p.new", "error", at)], at)
    target = artifacts.write(home / "target", manifest=old, run_results=results)
    assert offdag(home, "collect", "-e", "prod", str(target)).code == 0
    assert offdag(home, "monitor", "--as-of", "2026-01-31T08:00:00").code == 0
    [incident] = json.loads(offdag(home, "incidents", "--all", "--format", "json").out)
    assert (incident["incident_status"], incident["node_id"]) == ("open", "model.p.new")


def _own_folder(home: Path) -> tuple[Path, list[str]]:
    folder = config_folder(home)
    return folder, ["--config-dir", str(folder), "--as-of", "2026-02-10T00:00:00"]


def _log_of_dbt(home: Path) -> int:
    return (home / "monitor_target" / "logs" / "dbt.log").stat().st_mtime_ns


@pytest.mark.slow
def test_a_signal_of_the_users_own_is_run_by_the_plan_too(tmp_path: Path) -> None:
    folder, where = _own_folder(tmp_path)
    (folder / "models" / "signal_quiet.sql").write_text(
        """
        with observed as (
            select
                'quiet-' || invocation_id as signal_key, 'quiet' as kind, project, environment, ended_at as observed_at, invocation_id,
                true as is_bad, 'warning' as severity, 'build with ' || result_count || ' results' as title,
                cast(null as varchar) as detail, cast(null as varchar) as node_id, cast(null as varchar) as owner,
                cast(null as varchar) as evidence
            from {{ ref('fct_invocations') }} where is_build
        )
        {{ signal_columns('observed') }}
        """
    )
    logged = []
    for day in (0, 1):
        at = artifacts.NOW + timedelta(days=day)
        folder = build(tmp_path / f"day{day}", day, artifacts.result("model.p.a", "success", at))
        assert offdag(tmp_path, "collect", str(folder), "--environment", "prod").code == 0
        ended = offdag(tmp_path, "monitor", *where)
        assert ended.code == 0, ended
        logged.append(_log_of_dbt(tmp_path))
    assert logged[0] == logged[1]
    with duckdb.connect(str(tmp_path / "monitor.duckdb"), read_only=True) as connection:
        found = connection.execute("select count(*) from fct_incidents where kind = 'quiet'").fetchone()
    assert found == (2,)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("{{ config(materialized='table', post_hook='select 1') }} select 1 as one", "has hooks"),
        ("{% if execute %}{% do run_query('select 1') %}{% endif %} select 1 as one", "queries the database"),
        (
            "{{ config(materialized='incremental', unique_key='one') }} select 1 as one",
            "has another incremental strategy",
        ),
    ],
)
def test_what_a_plan_cannot_do_is_done_by_dbt_in_each_run(tmp_path: Path, model: str, reason: str) -> None:
    config, where = _own_folder(tmp_path)
    (config / "models" / "own.sql").write_text(model)
    ended = offdag(tmp_path, "monitor", *where)
    assert ended.code == 0, ended
    assert f"each run of this monitor is by dbt: own {reason}" in ended.err
    assert not (tmp_path / "monitor_target" / "plan.json").exists()


@pytest.mark.slow
def test_a_plan_that_fails_leaves_the_run_to_dbt(home: Path) -> None:
    assert offdag(home, "monitor").code == 0
    plan = home / "monitor_target" / "plan.json"
    plan.write_text(plan.read_text().replace("cast(1 as bigint) as monitor_id", "no_such_column as monitor_id"))
    ended = offdag(home, "monitor")
    assert ended.code == 0, ended
    assert "the plan of the last run failed, and dbt builds the monitor: Binder Error" in ended.err
    assert offdag(home, "incidents").code == 0


@pytest.mark.slow
def test_a_failing_test_of_the_monitor_warns_in_each_run(tmp_path: Path) -> None:
    config, where = _own_folder(tmp_path)
    routes = config / "seeds" / "alert_routes.csv"
    routes.write_text(routes.read_text() + routes.read_text().splitlines()[-1] + "\n")
    said = [offdag(tmp_path, "monitor", *where) for _ in range(3)]
    assert [ended.code for ended in said] == [0, 0, 0]
    assert "unique_alert_routes_priority" in said[0].err
    for ended in said[1:]:
        assert "the test unique_alert_routes_priority of the monitor found rows: 1" in ended.err


@pytest.mark.slow
def test_rows_of_pruned_dates_leave_the_marts(home: Path) -> None:
    for day in (0, 400):
        at = artifacts.NOW + timedelta(days=day)
        folder = build(home / f"day{day}", day, artifacts.result("model.p.a", "success", at))
        assert offdag(home, "collect", str(folder), "--environment", "prod").code == 0
    as_of = ["--as-of", (artifacts.NOW + timedelta(days=401)).isoformat()]
    assert offdag(home, "monitor", *as_of).code == 0
    pruned = offdag(home, "prune", "--keep", "100d", env={"OFFDAG_AS_OF": as_of[1]})
    assert pruned.code == 0, pruned
    for more in ([], ["--dbt"]):
        assert offdag(home, "monitor", *as_of, *more).code == 0
        with duckdb.connect(str(home / "monitor.duckdb"), read_only=True) as connection:
            assert connection.execute("select count(*) from fct_invocations").fetchone() == (1,)


@pytest.mark.slow
def test_own_sql_that_cannot_be_built_stops_no_other_alert(tmp_path: Path) -> None:
    """A condition fails on a value: everything else alerts, and the next run tries it again."""
    config = config_folder(tmp_path)
    (config / "models" / "signal_odd.sql").write_text("select cast('x' as int) as signal_key")
    failed = build(tmp_path / "day0", 0, artifacts.result("model.p.a", "error", artifacts.NOW))
    assert offdag(tmp_path, "collect", str(failed), "--environment", "prod").code == 0
    where = ["--config-dir", str(config), "--as-of", (artifacts.NOW + timedelta(hours=1)).isoformat()]
    ended = offdag(tmp_path, "monitor", *where)
    assert ended.code == 0, ended
    assert "your own signals and checks are left out, since dbt could not build them" in ended.err
    assert "signal_odd" in ended.err
    assert "incidents: 1 open" in ended.err
    assert "model.p.a" in offdag(tmp_path, "incidents", "--format", "json").out
    (config / "models" / "signal_odd.sql").unlink()
    again = offdag(tmp_path, "monitor", *where)
    assert again.code == 0, again
    assert "left out" not in again.err
