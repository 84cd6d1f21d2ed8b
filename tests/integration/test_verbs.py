"""What verbs create, which environment they record, and what a mistake in one seed stops."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from offdag.history.history import History
from sim import artifacts
from sim.slack import FakeSlack
from support.command import config_folder, offdag
from support.receiver import SECRET, Receiver


def collected(home: Path) -> Path:
    target = artifacts.write(
        home / "target",
        manifest=artifacts.manifest([artifacts.node("model.p.m")]),
        run_results=artifacts.run_results([artifacts.result("model.p.m", "error")]),
    )
    assert offdag(home, "collect", "-e", "prod", str(target)).code == 0
    return target


@pytest.mark.parametrize("verb", [("verdicts",), ("rebuild",), ("prune", "--keep", "1d"), ("state",), ("load",)])
def test_verbs_that_read_create_nothing(tmp_path: Path, verb: tuple[str, ...]) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: p\n")
    place = ("--project-dir", str(tmp_path)) if verb[0] in ("state", "load") else ()
    ended = offdag(tmp_path, *verb, *place)
    assert ended.code == 3, ended
    assert "there is no history" in ended.err
    assert not (tmp_path / "history").exists()


def test_a_dry_run_creates_nothing(failure: Path) -> None:
    shutil.rmtree(failure / "history")
    ended = offdag(failure, "notify", "--dry-run")
    assert "there is no history" in ended.err
    assert not (failure / "history").exists()


def test_a_mistake_in_the_observed_tables_stops_observing_alone(tmp_path: Path) -> None:
    line = "stock,shop,model.shop.stock,id:money,5,a type that does not exist\n"
    env = {"OFFDAG_CONFIG_DIR": str(config_folder(tmp_path, observed_tables=line))}
    target = artifacts.write(tmp_path / "target", run_results=artifacts.run_results([artifacts.result("model.p.m")]))
    assert offdag(tmp_path, "collect", "-e", "prod", str(target), env=env).code == 0
    monitored = offdag(tmp_path, "monitor", env=env)
    assert monitored.code == 0, monitored
    assert "a line of the observed tables cannot be used" in monitored.err
    assert offdag(tmp_path, "verdicts", env=env).code == 0
    (tmp_path / "dbt_project.yml").write_text("name: shop\n")
    observed = offdag(tmp_path, "observe", "--project-dir", str(tmp_path), env=env)
    assert observed.code == 2, observed
    assert "line 4" in observed.err


@pytest.mark.parametrize(
    ("flags", "env", "environment"),
    [
        (["-e", "prod"], {"DBT_TARGET": "ci"}, "prod"),
        (["--target", "dev"], {"DBT_TARGET": "ci"}, "dev"),
        ([], {"DBT_TARGET": "ci"}, "ci"),
        ([], {}, "unknown"),
    ],
)
def test_observing_records_the_environment_by_the_one_rule(
    tmp_path: Path, flags: list[str], env: dict[str, str], environment: str
) -> None:
    node = artifacts.node("snapshot.inventory.product_inventory_snapshot", schema="s", alias="stock")
    target = artifacts.write(tmp_path / "target", manifest=artifacts.manifest([node], project="inventory"))
    (tmp_path / "dbt_project.yml").write_text("name: inventory\n")
    place = {"DBT_TARGET_PATH": str(target), **env}
    offdag(tmp_path, "observe", "--project-dir", str(tmp_path), *flags, env=place)
    rows = History.open_existing(str(tmp_path / "history")).read("artifact_verdicts").to_pylist()
    assert {row["environment"] for row in rows} == {environment}


def test_verdicts_are_shown_once_after_a_compaction(tmp_path: Path) -> None:
    collected(tmp_path)
    history = History(str(tmp_path / "history"))
    [row] = [r for r in history.read("artifact_verdicts").to_pylist() if r["kind"] == "run_results"]
    old = artifacts.NOW.date()
    for i in range(3):
        history.put("artifact_verdicts", old, f"v{i}", [{**row, "collected_at": artifacts.NOW, "path": f"p{i}"}])
    before = len(json.loads(offdag(tmp_path, "verdicts", "--format", "json").out))
    assert offdag(tmp_path, "compact").code == 0
    assert len(json.loads(offdag(tmp_path, "verdicts", "--format", "json").out)) == before


def test_a_newline_in_a_path_makes_no_workflow_command(tmp_path: Path) -> None:
    folder = tmp_path / "a\n::error ::pwned"
    artifacts.write(folder, run_results={})
    ended = offdag(tmp_path, "collect", "-e", "prod", str(folder))
    assert ended.code == 3, ended
    assert not [line for line in (ended.err + ended.out).splitlines() if line.startswith("::")]


def test_a_seed_in_another_encoding_is_a_check_that_failed(failure: Path, tmp_path: Path) -> None:
    from sim.slack import FakeSlack

    config = config_folder(tmp_path)
    (config / "seeds" / "alert_routes.csv").write_bytes("priority,channel\n1,#caf\xe9\n".encode("cp1252"))
    with FakeSlack() as slack:
        ended = offdag(failure, "doctor", "--config-dir", str(config), env=slack.env)
    assert ended.code == 2, ended
    assert "BAD  routes: the seed cannot be read" in ended.out
    assert "Traceback" not in ended.err


def test_the_key_that_incidents_show_is_enough(failure: Path) -> None:
    shown = offdag(failure, "incidents", "--format", "json")
    key = next(line.split('"')[3] for line in shown.out.splitlines() if '"key"' in line)
    printed = offdag(failure, "mute", key, "--until", "2099-01-01", "--reason", "known")
    assert printed.code == 0, printed
    assert printed.out.startswith(key)
    assert printed.out.strip().endswith(",,,2099-01-01,known")


def test_a_reaction_in_slack_acknowledges(failure: Path, slack: FakeSlack) -> None:
    assert offdag(failure, "notify", env=slack.env).code == 0
    slack.posted[0]["reactions"] = [{"name": "eyes", "users": ["U042"]}]
    for verb in ("monitor", "notify", "monitor"):
        ended = offdag(failure, verb, env=slack.env)
        assert ended.code == 0, ended
    assert "U042" in offdag(failure, "incidents").out


def test_the_heartbeat_follows_a_monitor_run(failure: Path, receiver: Receiver) -> None:
    env = {"OFFDAG_HEARTBEAT_URL": receiver.url}
    assert offdag(failure, "monitor", env=env).code == 0
    gone = offdag(failure, "monitor", "--monitor-project-dir", str(failure / "nowhere"), env=env)
    assert gone.code == 2
    assert [path for path, _, _ in receiver.received] == [f"/{SECRET}", f"/{SECRET}/fail"]
    assert receiver.received[0][2].startswith("monitored as of ")
    assert SECRET not in gone.err


def test_an_empty_history_calls_no_heartbeat(home: Path, receiver: Receiver) -> None:
    ended = offdag(home, "monitor", env={"OFFDAG_HEARTBEAT_URL": receiver.url})
    assert ended.code == 0, ended
    assert receiver.received == []
    assert "the history has no build: nothing is monitored" in ended.err
    assert str(home / "history") in ended.err
