"""offdag doctor against a server with Slack's API."""

from __future__ import annotations

import sys
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path

import duckdb

from offdag.clock import utc_now
from sim import artifacts
from sim.slack import TOKEN, FakeSlack
from support import warm
from support.command import BIN, ROOT, CommandResult, config_folder, environ, offdag, run


def doctor(home: Path, slack: FakeSlack, *arguments: str) -> CommandResult:
    ended = offdag(home, "doctor", *arguments, env=slack.env)
    assert TOKEN not in ended.out + ended.err
    return ended


def test_all_is_well_and_the_test_message_is_gone(failure: Path, slack: FakeSlack) -> None:
    ended = doctor(failure, slack)
    assert ended.code == 0, ended
    assert "test message: posted to #data-alerts, found by its metadata, deleted" in ended.out
    assert slack.posted == []
    assert "0 bad" in ended.err


def test_each_trouble_is_named_with_what_to_do(failure: Path, slack: FakeSlack) -> None:
    slack.scopes.remove("channels:history")
    slack.strange_channels.add("shop-stock")
    del slack.channels["data-alerts"]
    ended = doctor(failure, slack)
    assert ended.code == 2, ended
    assert "BAD  scopes: missing: channels:history" in ended.out
    assert "BAD  #shop-stock: the bot is not in it" in ended.out
    assert "/invite @offdag" in ended.out
    assert "BAD  #data-alerts: the bot sees no channel of this name" in ended.out


def test_artifacts_that_were_refused_are_counted(failure: Path, slack: FakeSlack) -> None:
    assert "ok   artifacts: none was refused in the last 7 days" in doctor(failure, slack, "--no-message").out
    (failure / "run_results.json").write_text("{")
    assert offdag(failure, "collect", "-e", "prod", str(failure / "run_results.json")).code == 3
    ended = doctor(failure, slack, "--no-message")
    assert ended.code == 2, ended
    assert "BAD  artifacts: refused in the last 7 days: 1 unreadable" in ended.out


def test_a_service_without_its_variable_is_named(failure: Path, slack: FakeSlack) -> None:
    routes = "85,,error,,,,,,pagerduty,,,also,\n86,,error,,,,,,teams:ops,,,also,\n"
    config = config_folder(failure, alert_routes=routes)
    env = {**slack.env, "OFFDAG_PAGERDUTY_ROUTING_KEY": "k", "OFFDAG_CONFIG_DIR": str(config)}
    ended = offdag(failure, "doctor", env=env)
    assert ended.code == 2
    assert "ok   pagerduty: OFFDAG_PAGERDUTY_ROUTING_KEY is set" in ended.out
    assert "BAD  teams:ops: OFFDAG_TEAMS_WEBHOOK_URL_OPS is not set" in ended.out


def test_names_that_nothing_has_are_named(failure: Path, slack: FakeSlack) -> None:
    with duckdb.connect(str(failure / "monitor.duckdb")) as connection:
        connection.execute("insert into fct_seed_findings values ('x', 'alert_routes', 'kind', 'stockuot', true)")
        connection.execute("insert into fct_seed_findings values ('y', 'meta.alerts', 'due_time', '7 am', true)")
    ended = doctor(failure, slack)
    assert ended.code == 2, ended
    assert "BAD  alert_routes.csv: there is no kind stockuot: the line never matches" in ended.out
    assert "BAD  meta.alerts: there is no due_time 7 am: the node that names it has no deadline" in ended.out
    # The shop's line, in a history of another project.
    assert "ok   run_cadences.csv: no collected command has project inventory: is it misspelt?" in ended.out


def test_a_bad_token_stops_no_other_check(tmp_path: Path, slack: FakeSlack) -> None:
    slack.then("auth.test", "error:invalid_auth")
    ended = doctor(tmp_path, slack)
    assert ended.code == 2, ended
    assert "BAD  Slack: invalid_auth" in ended.out
    assert "BAD  marts: the monitor has not been built yet" in ended.out
    assert "ok   history" in ended.out


def test_without_slack_messages_are_printed(failure: Path) -> None:
    ended = offdag(failure, "doctor")
    assert ended.code == 0, ended
    assert "messages are printed" in ended.out


def test_channels_of_a_node_are_listed(failure: Path, slack: FakeSlack) -> None:
    ended = doctor(failure, slack, "--node", "orders", "--no-message")
    rows = [line for line in ended.out.splitlines() if "orders" in line]
    assert len(rows) == 2, ended
    assert all("#data-alerts" in row for row in rows)
    assert slack.posted == []


def test_without_builds_there_is_nothing_to_be_alerted_of(home: Path) -> None:
    assert offdag(home, "monitor").code == 0
    ended = offdag(home, "doctor")
    assert ended.code == 2, ended
    assert "BAD  builds: no builds; none is of an alerting environment" in ended.out


def test_builds_of_other_environments_are_named(home: Path) -> None:
    at = utc_now()
    target = artifacts.write(
        home / "target", run_results=artifacts.run_results([artifacts.result("model.p.m", at=at)], at)
    )
    assert offdag(home, "collect", "-e", "nightly", "--project", "p", str(target)).code == 0
    monitored = offdag(home, "monitor")
    assert "nothing is alerted of nightly" in monitored.err
    assert "not alerted: nightly" in offdag(home, "doctor").out


def test_an_environment_without_a_build_for_a_week_is_bad(home: Path) -> None:
    at = utc_now() - timedelta(days=8)
    target = artifacts.write(
        home / "target", run_results=artifacts.run_results([artifacts.result("model.p.m", at=at)], at)
    )
    assert offdag(home, "collect", "-e", "prod", "--project", "p", str(target)).code == 0
    monitored = offdag(home, "monitor")
    assert f"1 build, the newest {at:%Y-%m-%d %H:%M} UTC, in {home / 'history'}" in monitored.err
    assert "BAD  builds: 1 build" in offdag(home, "doctor").out


def test_the_folder_and_both_dbts_are_named(failure: Path, tmp_path: Path) -> None:
    ended = offdag(failure, "doctor", env=warm.COLD)
    assert f"ok   folder: {ROOT / 'offdag'} is laid over offdag's defaults" in ended.out
    assert f"ok   dbt: offdag run -- dbt starts {BIN / 'dbt'}" in ended.out
    assert f"ok   monitor's dbt: dbt-core {version('dbt-core')}, DuckDB {version('duckdb')}" in ended.out
    own = tmp_path / "own"
    (own / "models").mkdir(parents=True)
    (own / "models" / "signal_orders_low.sql").write_text("select 1")
    assert "with your signals orders_low" in offdag(failure, "doctor", "--config-dir", str(own)).out
    (own / "dbt_project.yml").write_text("vars: {no_such_var: 1}\n")
    ended = offdag(failure, "doctor", "--config-dir", str(own))
    assert ended.code == 2, ended
    assert "BAD  folder: there is no var no_such_var" in ended.out


def test_without_dbt_and_folder_the_next_command_is_given(failure: Path, tmp_path: Path) -> None:
    env = {k: v for k, v in environ(failure).items() if k != "OFFDAG_CONFIG_DIR"} | {"PATH": str(tmp_path)}
    ended = run([sys.executable, "-m", "offdag", "doctor"], env, cwd=tmp_path)
    assert ended.code == 0, ended
    assert "ok   folder: there is no folder of yours" in ended.out
    assert "next: offdag init" in ended.out
    assert "ok   dbt: there is no dbt on PATH" in ended.out


def test_commands_without_an_environment_are_named(home: Path) -> None:
    target = artifacts.write(home / "target", run_results=artifacts.run_results([artifacts.result("model.p.m")]))
    assert offdag(home, "collect", "--project", "p", str(target)).code == 0
    offdag(home, "monitor")
    assert "ok   environment: some commands were recorded without an environment" in offdag(home, "doctor").out
