"""Production's state out of the history: the newest whole build, byte for byte, and a copy of its database."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from offdag.collect.collection import collect_files
from offdag.collect.context import Context
from offdag.collect.places import artifacts_in
from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait
from offdag.errors import DatabaseLocked, NoBuild, UsageError
from offdag.history.history import History
from offdag.review.state import State, with_database, write_state
from sim import artifacts
from support.projects import invocation

AT = artifacts.NOW


@pytest.fixture
def history(tmp_path: Path) -> History:
    return History(str(tmp_path / "history"))


def collect(
    history: History,
    folder: Path,
    environment: str = "prod",
    was_interrupted: bool = False,
    **documents: dict[str, Any],
) -> Path:
    artifacts.write(folder, **documents)
    context = Context(environment=environment, was_interrupted=was_interrupted)
    collect_files(history, artifacts_in(str(folder)), context)
    return folder


def manifest(code: str, hours: int = 0) -> dict[str, Any]:
    node = artifacts.node("model.p.a", compiled_code=code)
    return artifacts.manifest([node], AT + timedelta(hours=hours))


def results(hours: int = 0, which: str = "build") -> dict[str, Any]:
    at = AT + timedelta(hours=hours)
    return artifacts.run_results([artifacts.result("model.p.a", at=at)], at, which)


def test_the_newest_whole_build_of_the_environment_is_written_as_dbt_wrote_it(history: History, tmp_path: Path) -> None:
    collect(history, tmp_path / "1", manifest=manifest("old"), run_results=results())
    newest = collect(history, tmp_path / "2", manifest=manifest("new", 1), run_results=results(1))
    collect(history, tmp_path / "3", manifest=manifest("docs", 2), run_results=results(2, "docs"))
    # A test's manifest holds no code of models.
    collect(history, tmp_path / "7", manifest=manifest("tested", 6), run_results=results(6, "test"))
    collect(history, tmp_path / "4", "ci", manifest=manifest("ci", 3), run_results=results(3))
    collect(history, tmp_path / "5", was_interrupted=True, manifest=manifest("cut", 4), run_results=results(4))
    checked = AT + timedelta(hours=5)
    fresh = artifacts.sources([artifacts.freshness("source.p.s.t", at=checked)], checked)
    collect(history, tmp_path / "6", manifest=manifest("fresh", 5), sources=fresh)
    out = tmp_path / "state"
    assert write_state(history, "p", "prod", out) == State(out, None)
    for name in ("manifest.json", "run_results.json"):
        assert (out / name).read_bytes() == (newest / name).read_bytes()
    assert json.loads((out / "sources.json").read_text()) == fresh


def test_a_manifest_that_was_kept_with_an_earlier_build_is_found(history: History, tmp_path: Path) -> None:
    collect(history, tmp_path / "1", manifest=manifest("same"), run_results=results())
    collect(history, tmp_path / "2", manifest=manifest("same", 24), run_results=results(24))
    assert len(history.store.glob("artifacts/*/*/*/*/manifest.json.zst")) == 1
    write_state(history, "p", "prod", tmp_path / "state")
    assert (
        json.loads((tmp_path / "state" / "manifest.json").read_text())["nodes"]["model.p.a"]["compiled_code"] == "same"
    )


def test_a_manifest_that_an_older_offdag_noted_is_kept_again(history: History, tmp_path: Path) -> None:
    collect(history, tmp_path / "1", manifest=manifest("same"), run_results=results())
    for name in history.store.glob("contents/manifests/*.json"):
        noted = json.loads(history.store.read(name))
        del noted["artifact"]
        history.store.write(name, json.dumps(noted).encode())
    rows = history.read("nodes").num_rows
    collect(history, tmp_path / "2", manifest=manifest("same", 24), run_results=results(24))
    assert history.read("nodes").num_rows == rows
    write_state(history, "p", "prod", tmp_path / "state")


@pytest.mark.parametrize("environment", ["prod", "ci"])
def test_without_a_build_there_is_no_state_and_the_old_one_is_removed(
    history: History, tmp_path: Path, environment: str
) -> None:
    collect(history, tmp_path / "1", "other", manifest=manifest("x"), run_results=results())
    write_state(history, "p", "other", tmp_path / "state")
    with pytest.raises(NoBuild, match=f"no build of p in {environment}"):
        write_state(history, "p", environment, tmp_path / "state")
    assert [path.name for path in (tmp_path / "state").iterdir()] == ["state.json"]
    with pytest.raises(UsageError, match=r"the state has no manifest\.json"):
        State.of(tmp_path / "state")


@pytest.fixture
def production(tmp_path: Path) -> DbtInvocation:
    (tmp_path / "dbt_project.yml").write_text("name: p\nprofile: p\n")
    (tmp_path / "profiles.yml").write_text(
        "p: {target: prod, outputs: {prod: {type: duckdb, path: data/p_prod.duckdb}}}"
    )
    (tmp_path / "data").mkdir()
    return invocation(tmp_path, "prod")


WRITE = """
import duckdb, sys
connection = duckdb.connect(sys.argv[1])
connection.execute("create table t as select 42 as x; checkpoint; insert into t values (43)")
print("written", flush=True)
sys.stdin.read()
import os; os._exit(0)
"""


def test_a_copy_holds_what_was_written_after_the_last_checkpoint(
    production: DbtInvocation, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "offdag")
    path = tmp_path / "data" / "p_prod.duckdb"
    with subprocess.Popen(
        [sys.executable, "-c", WRITE, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout is not None
        writer.stdout.readline()
        out = tmp_path / "state"
        out.mkdir()
        with pytest.raises(DatabaseLocked):
            with_database(State(out, None), production, LockWait("state", 0.3))
        assert f"process {writer.pid}" in caplog.text
        assert not (out / "p_prod.duckdb").exists()
        # It ends without a checkpoint.
        writer.communicate("")
    assert path.with_name("p_prod.duckdb.wal").is_file()
    copy = with_database(State(out, None), production, LockWait("state", 5.0)).database
    assert copy == out / "p_prod.duckdb"
    with duckdb.connect(str(copy), read_only=True) as connection:
        assert connection.execute("select x from t order by x").fetchall() == [(42,), (43,)]


def test_where_the_file_is_missing_there_is_no_copy_and_it_is_logged(
    production: DbtInvocation, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    state = State(tmp_path, None)
    assert with_database(state, production, LockWait("state", 1.0)) == state
    assert "there is no copy of prod's database" in caplog.text


def test_nothing_is_removed_that_offdag_did_not_write(
    production: DbtInvocation, history: History, tmp_path: Path
) -> None:
    shop = tmp_path / "data" / "p_prod.duckdb"
    duckdb.connect(str(shop)).close()
    with pytest.raises(UsageError, match="holds files that offdag did not write"):
        write_state(history, "p", "prod", tmp_path / "data")
    out = tmp_path / "state"
    collect(history, tmp_path / "1", manifest=manifest("x"), run_results=results())
    write_state(history, "p", "prod", out)
    (out / "notes.txt").write_text("mine")
    copy = with_database(State(out, None), production, LockWait("state", 5.0)).database
    assert State.of(out).database == copy
    # A marker that points elsewhere must not remove files there.
    (out / "state.json").write_text('{"database": "../data/p_prod.duckdb"}')
    write_state(history, "p", "prod", out)
    assert shop.is_file()
    (out / "state.json").write_text('{"database": "p_prod.duckdb"}')
    State.of(out).drop_database()
    assert sorted(p.name for p in out.iterdir()) == ["manifest.json", "notes.txt", "run_results.json", "state.json"]


def test_a_password_of_production_is_not_needed(tmp_path: Path) -> None:
    (tmp_path / "dbt_project.yml").write_text("name: p\nprofile: p\n")
    password = "\"{{ env_var('NOBODY_SET_THIS') }}\""
    server = f"{{type: postgres, host: h, password: {password}, dbname: d, schema: s}}"
    (tmp_path / "profiles.yml").write_text(f"p: {{target: ci, outputs: {{prod: {server}, ci: {server}}}}}")
    state = State(tmp_path, None)
    assert with_database(state, invocation(tmp_path, "prod"), LockWait("state", 1.0)) == state
