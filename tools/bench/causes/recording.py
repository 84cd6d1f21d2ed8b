"""Records the faults with real dbt: each project is built twice, then each fault happens to a copy of it and is built under offdag run."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from bench.causes.faults import Fault, copy_project, load
from offdag.collect.collection import collect
from offdag.collect.context import Context
from offdag.collect.places import find_artifacts
from offdag.dbt.project import DbtProject
from offdag.history.history import History

_COMMANDS = (("dbt", "--quiet", "source", "freshness"), ("dbt", "--quiet", "build"))
_BUILDS_BEFORE = 2


def record(faults: Sequence[Fault], history: Path) -> None:
    """Run dbt for each fault, and keep what it left in one history."""
    kept = History(str(history))
    with _hanging_url() as url, tempfile.TemporaryDirectory(prefix="offdag-causes-") as folder:
        places = {name: Path(folder) / name for name in sorted({fault.project for fault in faults})}
        artifacts = {name: _build_twice(name, place) for name, place in places.items()}
        for fault in faults:
            _collect_past(
                kept, fault, artifacts[fault.project], DbtProject(places[fault.project], {}).variable_hashes()
            )

        def happen(fault: Fault) -> None:
            place = Path(folder) / fault.environment
            shutil.copytree(places[fault.project], place, ignore=shutil.ignore_patterns("target", "past-*"))
            fault.happen(place)
            env = {name: value.format(hanging_url=url) for name, value in fault.env.items()}
            for command in _COMMANDS:
                _run(
                    [sys.executable, "-m", "offdag", "run", "-e", fault.environment, "--", *command],
                    place,
                    history,
                    env,
                )
            shutil.rmtree(place)

        with ThreadPoolExecutor(os.cpu_count()) as pool:
            list(pool.map(happen, faults))


def _build_twice(name: str, place: Path) -> list[Path]:
    """A project without faults; gives the folders of its artifacts."""
    copy_project(name, place)
    kept = []
    for number in range(_BUILDS_BEFORE):
        load(place)
        for command in _COMMANDS:
            done = _run(command, place, place / "unused", {})
            if done.returncode:
                raise RuntimeError(f"{name} fails without a fault: {done.stdout}")
            past = place / f"past-{number}-{command[-1]}"
            shutil.copytree(place / "target", past, ignore=lambda *_: ["compiled", "run"])
            kept.append(past)
    return kept


def _collect_past(history: History, fault: Fault, artifacts: Sequence[Path], variables: str | None) -> None:
    """The builds before the fault, as builds of its own environment: the invocations get ids of their own."""
    with tempfile.TemporaryDirectory(prefix="offdag-causes-") as folder:
        for number, source in enumerate(artifacts):
            target = Path(folder) / str(number)
            target.mkdir()
            for path in source.glob("*.json"):
                text = path.read_text(encoding="utf-8")
                invocation = json.loads(text).get("metadata", {}).get("invocation_id")
                if invocation:
                    own = str(uuid.uuid5(uuid.UUID(invocation), fault.environment))
                    (target / path.name).write_text(text.replace(invocation, own), encoding="utf-8")
            context = Context(environment=fault.environment, project_variables=variables)
            collect(history, find_artifacts([str(target)], False), context)


def _run(command: Sequence[str], place: Path, history: Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    given = {**os.environ, "OFFDAG_HISTORY": str(history), "DBT_PROFILES_DIR": str(place), **env}
    return subprocess.run(list(command), cwd=place, env=given, capture_output=True, text=True, check=False)


@contextmanager
def _hanging_url() -> Iterator[str]:
    """A server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(64)
        yield f"http://127.0.0.1:{server.getsockname()[1]}/rates.csv"
