from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

pytest.register_assert_rewrite("support.golden")

from bench import postgres
from sim import artifacts
from sim.slack import FakeSlack
from support.command import offdag
from support.receiver import Receiver


@pytest.fixture(scope="session", autouse=True)
def _default_signals() -> None:
    """Programs that tests start get signals, also where pytest itself runs under nohup or in a shell's background."""
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def slack() -> Iterator[FakeSlack]:
    with FakeSlack() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[postgres.Postgres]:
    """The module's own Postgres."""
    if postgres.binaries() is None:
        assert os.environ.get("OFFDAG_REQUIRE_ALL") != "1", "CI has to have Postgres"
        pytest.skip("there is no Postgres on this machine")
    with postgres.running(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def built_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the monitor as dbt builds it from an empty history. Take ``home`` to write to it."""
    built = tmp_path_factory.mktemp("built") / "home"
    ended = offdag(built, "monitor")
    assert ended.code == 0, ended
    shutil.rmtree(built / "history" / "tables" / "monitor_runs")
    shutil.copytree(built, built.with_name("kept"))
    return built


@pytest.fixture
def home(built_home: Path) -> Path:
    """A home whose monitor needs no dbt: at the same path for each test, since the monitor's views name the history."""
    return _as_kept(built_home, "kept")


@pytest.fixture(scope="session")
def kept_failure(built_home: Path) -> Path:
    """What ``failure`` is a copy of."""
    home = _as_kept(built_home, "kept")
    at = datetime.now(timezone.utc).replace(tzinfo=None) - timedelta(minutes=5)
    tested = artifacts.node(
        "test.p.not_null_orders_id",
        ("model.p.orders",),
        test_metadata={"name": "not_null", "kwargs": {"column_name": "id"}},
        attached_node="model.p.orders",
        column_name="id",
    )
    artifacts.write(
        home / "target",
        manifest=artifacts.manifest([artifacts.node("model.p.orders"), tested], at),
        run_results=artifacts.run_results(
            [
                artifacts.result("model.p.orders", at=at),
                artifacts.result("test.p.not_null_orders_id", "fail", at, failures=3, message="Got 3 results"),
            ],
            at,
        ),
    )
    collected = offdag(home, "collect", "-e", "prod", str(home / "target"))
    assert collected.code == 0, collected
    built = offdag(home, "monitor")
    assert built.code == 0, built
    return shutil.copytree(home, home.with_name("failure"))


@pytest.fixture
def failure(built_home: Path, kept_failure: Path) -> Path:
    """A home, in the place of ``home``, whose history holds a build with one failed test, and monitored."""
    return _as_kept(built_home, kept_failure.name)


def _as_kept(home: Path, name: str) -> Path:
    shutil.rmtree(home, ignore_errors=True)
    return shutil.copytree(home.with_name(name), home)
