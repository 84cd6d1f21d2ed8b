"""`offdag init`: what it proposes for a project from its artifacts, and that it never overwrites or loses anything."""

from __future__ import annotations

import csv
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from sim import artifacts
from support.command import CommandResult, environ, offdag, run

pytestmark = pytest.mark.slow

DAYS = 10
# The day after the last build.
AS_OF = (artifacts.NOW + timedelta(days=DAYS)).isoformat()


def owned(name: str, owner: str) -> dict[str, Any]:
    return artifacts.node(f"model.p.{name}", config={"materialized": "table", "meta": {"owner": owner}, "tags": []})


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Artifacts of a nightly build of production, as an archive has them: a folder for each day."""
    home = tmp_path_factory.mktemp("archive")
    for day in range(DAYS):
        at = artifacts.NOW + timedelta(days=day, minutes=day % 3)
        node = owned("orders", "#orders")
        artifacts.write(
            home / f"day{day}",
            manifest=artifacts.manifest([node, owned("users", "@ann")], at),
            run_results=artifacts.run_results([artifacts.result("model.p.orders", at=at)], at),
        )
    return home


def init(home: Path, *arguments: str) -> CommandResult:
    """Run it in a dbt project at ``home``."""
    (home / "dbt_project.yml").write_text("name: p\n")
    env = {
        k: v for k, v in environ(home).items() if k not in ("OFFDAG_CONFIG_DIR", "OFFDAG_HISTORY", "DBT_TARGET_PATH")
    }
    return run(["offdag", "init", *arguments], {**env, "OFFDAG_AS_OF": AS_OF}, cwd=home)


def lines(home: Path, seed: str) -> list[dict[str, str]]:
    return list(csv.DictReader((home / "offdag" / "seeds" / f"{seed}.csv").open(encoding="utf-8")))


def test_it_proposes_what_the_archive_shows(archive: Path, tmp_path: Path) -> None:
    ended = init(tmp_path, "-e", "live", str(archive))
    assert ended.code == 0, ended
    [cadence] = lines(tmp_path, "run_cadences")
    assert (cadence["project"], cadence["environment"], cadence["every_hours"]) == ("p", "live", "24")
    assert (
        cadence["comment"]
        == f"builds up to {artifacts.NOW + timedelta(days=DAYS - 1):%Y-%m-%d}: {DAYS}, usually 24.0 hours apart"
    )
    first, *packaged = lines(tmp_path, "alert_routes")
    assert (first["owner"], first["channel"]) == ("#orders", "#orders")
    assert [row["priority"] for row in packaged] == ["90", "99"]
    settings = (tmp_path / "offdag" / "dbt_project.yml").read_text()
    assert yaml.safe_load(settings)["vars"]["alerting_environments"] == ["prod", "production", "live"]
    assert f"  # builds of live: {DAYS}, the last on" in settings
    assert "owners without a route: @ann (1 nodes)" in ended.out
    assert ended.out.endswith("next:  offdag job -e live -- dbt build\n")
    # Nothing else is made.
    assert sorted(path.name for path in tmp_path.iterdir()) == ["dbt_project.yml", "offdag"]


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    ended = init(tmp_path, "--dry-run")
    assert ended.code == 0, ended
    assert "new      offdag/seeds/run_cadences.csv" in ended.out
    assert "8 files would be written" in ended.err
    assert [path.name for path in tmp_path.iterdir()] == ["dbt_project.yml"]


def test_a_second_time_it_keeps_everything_and_shows_what_is_lacking(archive: Path, tmp_path: Path) -> None:
    own = tmp_path / "offdag" / "seeds" / "run_cadences.csv"
    own.parent.mkdir(parents=True)
    own.write_text("project,environment,every_hours\nother,prod,1\n")
    ended = init(tmp_path, "-e", "live", str(archive))
    assert ended.code == 0, ended
    assert own.read_text() == "project,environment,every_hours\nother,prod,1\n"
    assert "kept     offdag/seeds/run_cadences.csv\n  lacks  p,live,,,24,3,,," in ended.out
    before = {path: path.read_bytes() for path in (tmp_path / "offdag").rglob("*") if path.is_file()}
    again = init(tmp_path, "-e", "live")
    assert "init: 0 files written, 8 kept" in again.err
    assert {path: path.read_bytes() for path in (tmp_path / "offdag").rglob("*") if path.is_file()} == before


def test_the_folder_is_what_the_monitor_then_uses(archive: Path, tmp_path: Path) -> None:
    """Its proposals are not proposed again, doctor finds nothing to add, and the history was only read."""
    assert offdag(tmp_path, "collect", "-r", "-e", "live", str(archive)).code == 0
    as_of = (artifacts.NOW + timedelta(days=DAYS + 1)).isoformat()
    # Nothing is in the folder yet.
    live = {"OFFDAG_ALERTING_ENVIRONMENTS": "live", "OFFDAG_AS_OF": as_of}
    assert offdag(tmp_path, "monitor", env=live).code == 0
    proposed = offdag(tmp_path, "doctor", "--no-message", env=live)
    assert "ok   run_cadences.csv: p (live) builds regularly (builds up to" in proposed.out
    assert "offdag init    # or the line p,live,,,24,3,,, in" in proposed.out
    kept = sorted((tmp_path / "history").rglob("*"))
    (tmp_path / "dbt_project.yml").write_text("name: p\n")
    env = {"OFFDAG_CONFIG_DIR": str(tmp_path / "offdag"), "OFFDAG_AS_OF": as_of}
    (tmp_path / "offdag").mkdir()
    written = offdag(tmp_path, "init", "--project-dir", str(tmp_path), env=env)
    assert written.code == 0, written
    assert sorted((tmp_path / "history").rglob("*")) == kept
    monitored = offdag(tmp_path, "monitor", env=env)
    assert "1 open" in monitored.err, monitored
    checked = offdag(tmp_path, "doctor", "--no-message", env=env)
    assert "run_cadences.csv" not in checked.out


def test_without_any_artifact_it_writes_the_defaults(tmp_path: Path) -> None:
    ended = init(tmp_path)
    assert ended.code == 0, ended
    assert "found: no builds" in ended.err
    assert lines(tmp_path, "run_cadences") == []
    assert yaml.safe_load((tmp_path / "offdag" / "dbt_project.yml").read_text()) == {"name": "offdag", "vars": None}
    assert ended.out.endswith("next:  offdag job -e prod -- dbt build\n")


def test_it_needs_a_dbt_project(tmp_path: Path) -> None:
    ended = offdag(tmp_path, "init", "--project-dir", str(tmp_path))
    assert ended.code == 2
    assert "there is no dbt project" in ended.err


def test_text_of_artifacts_stays_on_its_line(tmp_path: Path) -> None:
    node = owned("orders", '#a\nb,"c" \'; 90,x')
    for day in range(6):
        at = artifacts.NOW + timedelta(days=day)
        results = artifacts.run_results([artifacts.result("model.p.orders", at=at)], at)
        folder = tmp_path / "builds" / str(day)
        artifacts.write(folder, manifest=artifacts.manifest([node], at), run_results=results)
    hostile = "x]\n  slow_least_seconds: [0"
    ended = init(tmp_path, "-e", hostile, str(tmp_path / "builds"))
    assert ended.code == 0, ended
    assert yaml.safe_load((tmp_path / "offdag" / "dbt_project.yml").read_text())["vars"]["alerting_environments"] == [
        "prod",
        "production",
        hostile,
    ]
    assert lines(tmp_path, "alert_routes")[0]["owner"] == '#a b,"c" \'; 90,x'
