"""Each row of docs/errors.md is what happens: same words, same exit code, three parts, no traceback."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from offdag.history.history import History
from sim import artifacts
from sim.slack import FakeSlack
from support.command import ROOT, CommandResult, greenery, offdag


@dataclass(frozen=True)
class Row:
    """A row of the table."""

    id: str
    words: str
    code: int


def rows() -> list[Row]:
    lines = (ROOT / "docs" / "errors.md").read_text().splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines if re.match(r"\| `[a-z-]+` \|", line)]
    # The program in dbt's place ends with 2.
    return [Row(c[0].strip("`"), c[1].strip("`"), 2 if c[2] == "dbt's own" else int(c[2])) for c in cells]


@dataclass
class Place:
    """What a scenario may use."""

    home: Path
    failure: Path
    slack: FakeSlack


SCENARIOS: dict[str, Callable[[Place], CommandResult]] = {}


def scenario(function: Callable[[Place], CommandResult]) -> Callable[[Place], CommandResult]:
    SCENARIOS[function.__name__.replace("_", "-")] = function
    return function


@scenario
def url(place: Place) -> CommandResult:
    return offdag(place.home, "incidents", env={"OFFDAG_HEARTBEAT_URL": "example"})


@scenario
def serve_port(place: Place) -> CommandResult:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return offdag(place.failure, "serve", "--port", str(taken.getsockname()[1]))


@scenario
def ack_key(place: Place) -> CommandResult:
    return offdag(place.failure, "ack", "ffffffffff")


@scenario
def mute_key(place: Place) -> CommandResult:
    return offdag(place.failure, "mute", "ffffffffff", "--until", "2099-01-01", "--reason", "known")


@scenario
def no_exported_tables(place: Place) -> CommandResult:
    return offdag(place.home, "import-tables", str(place.home))


@scenario
def no_such_path(place: Place) -> CommandResult:
    return offdag(place.home, "collect", str(place.home / "nowhere"))


@scenario
def no_artifacts(place: Place) -> CommandResult:
    return offdag(place.home, "collect", str(place.home))


@scenario
def truncated_artifact(place: Place) -> CommandResult:
    (place.home / "run_results.json").write_text('{"metadata": {"dbt_schema_vers')
    return offdag(place.home, "collect", str(place.home))


@scenario
def unsupported_artifact(place: Place) -> CommandResult:
    (place.home / "run_results.json").write_text('{"results": []}')
    return offdag(place.home, "collect", str(place.home))


@scenario
def other_project(place: Place) -> CommandResult:
    for letter in "ab":
        nodes = [artifacts.node(f"model.p.{letter}{number}") for number in range(3)]
        target = artifacts.write(place.home / letter, manifest=artifacts.manifest(nodes))
        collected = offdag(place.home, "collect", "-e", "prod", str(target))
    return collected


@scenario
def other_adapter(place: Place) -> CommandResult:
    nodes = [artifacts.node("model.p.m")]
    for day, adapter in enumerate(("duckdb", "postgres")):
        at = artifacts.NOW + timedelta(days=day)
        manifest = artifacts.manifest(nodes, at)
        manifest["metadata"]["adapter_type"] = adapter
        results = artifacts.run_results([artifacts.result("model.p.m")], at)
        target = artifacts.write(place.home / adapter, manifest=manifest, run_results=results)
        collected = offdag(place.home, "collect", "-e", "prod", str(target))
    return collected


@scenario
def no_dbt_project(place: Place) -> CommandResult:
    return offdag(place.home, "run", "--project-dir", str(place.home), "--", "dbt", "build")


@scenario
def no_such_program(place: Place) -> CommandResult:
    (place.home / "dbt_project.yml").write_text("name: p\n")
    return offdag(place.home, "run", "--project-dir", str(place.home), "--", "no-such-dbt", "build")


@scenario
def run_left_nothing(place: Place) -> CommandResult:
    (place.home / "dbt_project.yml").write_text("name: p\n")
    program = [sys.executable, "-c", "import sys; sys.exit(2)", "build"]
    return offdag(place.home, "run", "-e", "prod", "--project-dir", str(place.home), "--", *program)


@scenario
def history_path(place: Place) -> CommandResult:
    return offdag(place.home, "verdicts", "--history", str(place.home / "it's [mine]"))


@scenario
def history_not_writable(place: Place) -> CommandResult:
    (place.home / "history").write_text("a file")
    return offdag(
        place.home, "collect", str(artifacts.write(place.home / "target", run_results=artifacts.run_results([])))
    )


@scenario
def history_newer(place: Place) -> CommandResult:
    (place.home / "history").mkdir()
    (place.home / "history" / "version").write_text("99")
    return offdag(place.home, "verdicts")


@scenario
def history_damaged(place: Place) -> CommandResult:
    History(str(place.home / "history"))
    bad = place.home / "history" / "tables" / "artifact_verdicts" / "run_date=2026-01-31" / "damaged.parquet"
    bad.parent.mkdir()
    bad.write_bytes(b"PAR1 no parquet")
    return offdag(place.home, "verdicts")


@scenario
def tables_differ(place: Place) -> CommandResult:
    folder = artifacts.write(place.home / "t", run_results=artifacts.run_results([artifacts.result("model.p.m")]))
    assert offdag(place.home, "collect", "-e", "prod", str(folder)).code == 0
    for path in (place.home / "history" / "tables" / "invocations").glob("run_date=2*/*.parquet"):
        path.unlink()
    return offdag(place.home, "rebuild")


@scenario
def prune_keep(place: Place) -> CommandResult:
    return offdag(place.home, "prune", "--keep", "forever")


@scenario
def as_of(place: Place) -> CommandResult:
    return offdag(place.home, "monitor", "--as-of", "yesterday")


@scenario
def lock_timeout(place: Place) -> CommandResult:
    return offdag(place.home, "monitor", env={"OFFDAG_LOCK_TIMEOUT": "soon"})


@scenario
def no_monitor_project(place: Place) -> CommandResult:
    return offdag(place.home, "monitor", "--monitor-project-dir", str(place.home))


@scenario
def monitor_not_built(place: Place) -> CommandResult:
    return offdag(place.home, "notify")


@scenario
def marts_too_old(place: Place) -> CommandResult:
    assert offdag(place.home, "monitor", "--as-of", "2026-01-01T00:00:00").code == 0
    return offdag(place.home, "notify")


@scenario
def report_file(place: Place) -> CommandResult:
    return offdag(place.failure, "report", "--out", str(place.home / "report.json"))


@scenario
def monitor_failed(place: Place) -> CommandResult:
    History(str(place.home / "history"))
    bad = place.home / "history" / "tables" / "invocations" / "run_date=2026-01-31" / "damaged.parquet"
    bad.parent.mkdir()
    bad.write_bytes(b"PAR1 no parquet")
    return offdag(place.home, "monitor")


@scenario
def database_locked(place: Place) -> CommandResult:
    path = place.home / "monitor.duckdb"
    duckdb.connect(str(path)).close()
    code = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        return offdag(place.home, "report", "--lock-timeout", "0.5")


@scenario
def database_unreadable(place: Place) -> CommandResult:
    (place.home / "monitor.duckdb").write_bytes(b"of a newer version" * 1000)
    return offdag(place.home, "incidents")


@scenario
def observed_tables(place: Place) -> CommandResult:
    (place.home / "seeds").mkdir()
    (place.home / "seeds" / "observed_tables.csv").write_text(
        "observed_table,project,unique_id,columns,max_rows\nt,p,u,id:money,5\n"
    )
    return offdag(place.home, "observe", "--config-dir", str(place.home), *dbt_project(place))


@scenario
def observed_database(place: Place) -> CommandResult:
    project = artifacts.write(
        place.home / "shop" / "target",
        manifest=artifacts.manifest(
            [artifacts.node("snapshot.inventory.product_inventory_snapshot", schema="s", alias="stock")],
            project="inventory",
        ),
    ).parent
    (project / "dbt_project.yml").write_text("name: inventory\nprofile: p\n")
    (project / "profiles.yml").write_text("p: {target: prod, outputs: {prod: {type: duckdb, path: missing.duckdb}}}\n")
    return offdag(
        place.home,
        "observe",
        "-e",
        "prod",
        "--project-dir",
        str(project),
        env={"DBT_TARGET_PATH": str(project / "target")},
    )


def dbt_project(place: Place) -> tuple[str, ...]:
    """A project whose last build was for dev, with a change against a state without a database."""
    node = {"database": "p_dev", "schema": "main", "alias": "a", "relation_name": '"p_dev"."main"."a"'}
    for folder, code in (("target", "select 1"), ("state", "select 2")):
        artifacts.write(
            place.home / folder,
            manifest=artifacts.manifest([artifacts.node("model.p.a", compiled_code=code, **node)]),
            run_results=artifacts.run_results([artifacts.result("model.p.a")], env={"OFFDAG_ENVIRONMENT": "dev"}),
        )
    (place.home / "dbt_project.yml").write_text("name: p\nprofile: p\n")
    outputs = ", ".join(f"{target}: {{type: duckdb, path: p_{target}.duckdb}}" for target in ("dev", "prod"))
    (place.home / "profiles.yml").write_text(f"p: {{target: dev, outputs: {{{outputs}}}}}\n")
    return ("--project-dir", str(place.home))


TARGET = {"DBT_TARGET_PATH": "target"}


@scenario
def state_no_build(place: Place) -> CommandResult:
    History(str(place.home / "history"))
    return offdag(place.home, "state", *dbt_project(place), "-o", str(place.home / "out"))


@scenario
def no_history(place: Place) -> CommandResult:
    return offdag(place.home, "verdicts")


@scenario
def history_empty(place: Place) -> CommandResult:
    return offdag(place.home, "verdicts", "--history", "")


@scenario
def history_credentials(place: Place) -> CommandResult:
    return offdag(place.home, "verdicts", "--history", "s3://KEY:xoxb-of-the-test@bucket")


@scenario
def history_store(place: Place) -> CommandResult:
    return offdag(place.home, "verdicts", "--history", "zip://history")


@scenario
def seed_encoding(place: Place) -> CommandResult:
    seeds = place.home / "project" / "seeds"
    seeds.mkdir(parents=True)
    (seeds / "alert_mutes.csv").write_bytes(
        "signal_key,kind,node_id,muted_until,reason\n,,,,caf\xe9\n".encode("cp1252")
    )
    shown = offdag(place.failure, "incidents", "--format", "json")
    key = next(line.split('"')[3] for line in shown.out.splitlines() if '"key"' in line)
    project = ("--config-dir", str(seeds.parent))
    return offdag(place.failure, "mute", key, "--until", "2099-01-01", "--reason", "x", "--write", *project)


@scenario
def platform_token(place: Place) -> CommandResult:
    return offdag(place.home, "collect", "-e", "prod", "dbt-platform://1/2")


@scenario
def platform_down(place: Place) -> CommandResult:
    env = {"OFFDAG_DBT_PLATFORM_TOKEN": "dbtc_test", "OFFDAG_DBT_PLATFORM_URL": "http://127.0.0.1:9"}
    return offdag(place.home, "collect", "-e", "prod", "dbt-platform://1/2", env=env)


@scenario
def demo_folder(place: Place) -> CommandResult:
    (place.home / "thesis.tex").write_text("years of work")
    return offdag(place.home, "demo", "--home", str(place.home))


@scenario
def config_folder(place: Place) -> CommandResult:
    return offdag(place.home, "monitor", "--config-dir", str(place.home / "nowhere"))


@scenario
def config_var(place: Place) -> CommandResult:
    (place.home / "dbt_project.yml").write_text("vars: {baselin_runs: 5}\n")
    return offdag(place.home, "monitor", "--config-dir", str(place.home))


@scenario
def business_check(place: Place) -> CommandResult:
    (place.home / "seeds").mkdir()
    (place.home / "seeds" / "business_checks.csv").write_text("check_name,observed_table,condition\na,orders,true\n")
    return offdag(place.home, "monitor", "--config-dir", str(place.home))


def one_model(place: Place, targets: str) -> tuple[str, ...]:
    """Flags that lead to a project of one model with a profile of these targets."""
    project = place.home / "project"
    (project / "models").mkdir(parents=True)
    (project / "models" / "orders.sql").write_text("select 1 as id")
    (project / "dbt_project.yml").write_text("name: p\nprofile: p\n")
    (project / "profiles.yml").write_text(f"p: {{target: ci, outputs: {{{targets}}}}}\n")
    return "--project-dir", str(project)


@scenario
def ci_shared(place: Place) -> CommandResult:
    """Without a state, production's relations are those that the project makes for production's target."""
    target = "{type: duckdb, path: shop.duckdb}"
    where = one_model(place, f"prod: {target}, ci: {target}")
    return offdag(place.home, "ci", *where, "-o", str(place.home / "out"))


@scenario
def ci_blind(place: Place) -> CommandResult:
    """The history cannot be read, and the profile does not have production's target."""
    where = one_model(place, "ci: {type: duckdb, path: shop.duckdb}")
    history = ("--history", "s3://no-such-host/x")
    env = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    return offdag(place.home, "ci", *where, *history, "-o", str(place.home / "out"), env=env)


@scenario
def ci_drop_unknown(place: Place) -> CommandResult:
    where = one_model(place, "ci: {type: duckdb, path: shop.duckdb, schema: \"{{ env_var('OFFDAG_REVIEW_SCHEMA') }}\"}")
    history = ("--history", str(place.home / "none"))
    return offdag(place.home, "ci", *where, *history, "--drop", env={"OFFDAG_REVIEW_SCHEMA": "analytics"})


@scenario
def ci_mistyped(place: Place) -> CommandResult:
    return offdag(place.failure, "ci", *dbt_project(place), "--from", "prd", "-o", str(place.home / "out"), env=TARGET)


@scenario
def ci_no_pull_request(place: Place) -> CommandResult:
    return offdag(place.home, "ci", *dbt_project(place), "--drop")


@scenario
def state_folder(place: Place) -> CommandResult:
    return offdag(place.home, "diff", *dbt_project(place), "--to", "dev", "--state", str(place.home), env=TARGET)


@scenario
def diff_other_target(place: Place) -> CommandResult:
    return offdag(place.home, "diff", *dbt_project(place), env=TARGET)


@scenario
def diff_blind(place: Place) -> CommandResult:
    return offdag(
        place.home, "diff", *dbt_project(place), "--to", "dev", "--state", str(place.home / "state"), env=TARGET
    )


@scenario
def ci_itself(place: Place) -> CommandResult:
    return offdag(place.home, "ci", *dbt_project(place), "--to", "prod")


@scenario
def slack_channel(place: Place) -> CommandResult:
    place.slack.channels.clear()
    return offdag(place.failure, "notify", env=place.slack.env)


@scenario
def slack_token(place: Place) -> CommandResult:
    place.slack.then("chat.postMessage", "error:token_revoked")
    return offdag(place.failure, "notify", env=place.slack.env)


@scenario
def slack_down(place: Place) -> CommandResult:
    return offdag(place.failure, "notify", env={**place.slack.env, "OFFDAG_SLACK_API_URL": "http://127.0.0.1:9/api/"})


@scenario
def slack_answer_lost(place: Place) -> CommandResult:
    place.slack.then("webhook", "drop")
    return offdag(place.failure, "notify", env=place.slack.webhook_env)


def csv_folder(place: Place) -> Path:
    assert greenery(place.home, "generate", "--out", str(place.home), "--week", "1").code == 0
    return place.home / "week=1"


@scenario
def csv_column(place: Place) -> CommandResult:
    folder = csv_folder(place)
    path = folder / "orders.csv"
    path.write_text(path.read_text().replace("order_total", "total", 1))
    return greenery(place.home, "load", str(folder), "--database", str(place.home / "shop.duckdb"))


@scenario
def csv_file(place: Place) -> CommandResult:
    folder = csv_folder(place)
    (folder / "users.csv").unlink()
    return greenery(place.home, "load", str(folder), "--database", str(place.home / "shop.duckdb"))


@scenario
def csv_value(place: Place) -> CommandResult:
    folder = csv_folder(place)
    path = folder / "promos.csv"
    path.write_text(path.read_text().replace(",10,", ",ten,"))
    return greenery(place.home, "load", str(folder), "--database", str(place.home / "shop.duckdb"))


@scenario
def csv_database(place: Place) -> CommandResult:
    database = place.home / "shop.duckdb"
    database.write_bytes(b"no database" * 1000)
    return greenery(place.home, "load", str(csv_folder(place)), "--database", str(database))


# What a next line begins with: something to type, with remarks behind a #.
COMMANDS = {"offdag", "dbt", "pip", "python", "export", "unset", "mv", "ls", "df", "file", "tail", "make", "sleep"}


def test_every_row_has_a_scenario_and_every_scenario_a_row() -> None:
    assert sorted(row.id for row in rows()) == sorted(SCENARIOS)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.id)
def test_the_error_matches_its_row(row: Row, tmp_path: Path, failure: Path, slack: FakeSlack) -> None:
    ended = SCENARIOS[row.id](Place(tmp_path, failure, slack))
    assert ended.code == row.code, ended
    assert row.words in ended.err, ended
    assert "Traceback" not in ended.err
    assert "xoxb-of-the-test" not in ended.err + ended.out
    assert "secret-of-the-webhook" not in ended.err + ended.out
    typed = re.search(r"^next:  (\S+)", ended.err, re.M)
    assert typed is not None
    assert typed[1] in COMMANDS, ended
    what, where, after = (ended.err.index(part) for part in ("error: ", "where: ", "next:  "))
    assert what < where < after


def test_exit_codes_are_the_readmes() -> None:
    from offdag.errors import ExitCode

    table = dict(re.findall(r"^\| (\d+) \| ([^|]+) \|$", (ROOT / "docs" / "errors.md").read_text(), re.M))
    assert sorted(table) == sorted(str(int(code)) for code in ExitCode)


def test_after_a_failed_delivery_it_is_still_due(failure: Path, slack: FakeSlack) -> None:
    slack.then("chat.postMessage", "error:token_revoked")
    assert offdag(failure, "notify", env=slack.env).code == 4
    again = offdag(failure, "notify", env=slack.env)
    # The message and its details.
    assert (again.code, len(slack.posted)) == (0, 2), again
