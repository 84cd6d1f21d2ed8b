"""What each verb costs before it works: a run on next to nothing, against importing the libraries that it needs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path

from bench.measure import Cost
from bench.suite import Costs, Figure, Suite, made, offdag, python

_NEWEST = datetime(2026, 6, 30)
_AS_OF = "2026-06-30T01:00:00"
_HISTORY = "msgspec, pyarrow.parquet, zstandard"
_PARSER = "dbt_artifacts_parser.parsers.run_results.run_results_v6"
# Verb with arguments, and the libraries that its work needs.
_VERBS = {
    "collect": (("collect", "-e", "prod", "artifacts/run-00000"), f"click, {_HISTORY}, {_PARSER}"),
    "verdicts": (("verdicts",), f"click, {_HISTORY}, rich.table"),
    "compact": (("compact",), f"click, {_HISTORY}"),
    "monitor": (("monitor", "--as-of", _AS_OF), "dbt.cli.main, dbt.adapters.duckdb"),
    "incidents": (("incidents",), "click, duckdb, rich.table"),
    "notify": (("notify", "--dry-run"), f"click, duckdb, {_HISTORY}"),
    "report": (("report",), "click, duckdb, jinja2, msgspec, altair"),
    "mute": (("mute", "model_slow", "--until", "2099-01-01", "--reason", "bench"), "click, duckdb"),
}  # fmt: skip
_NAMED = 3
_LINE = re.compile(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)")


def suite(folder: Path, _full: bool) -> Suite:
    """Each verb that needs no network, and its libraries alone."""
    home = folder / "startup"
    made("histories", "write_history", str(home / ".offdag" / "history"), 5, 20, 2, _NEWEST)
    made("artifacts", "write_runs", home / "artifacts", 1, 3, _NEWEST)
    offdag(home, "monitor", "--as-of", _AS_OF)
    found = Suite({"offdag --version": lambda _: offdag(home, "--version")})
    for verb, (arguments, libraries) in _VERBS.items():
        found.work[f"{verb} on next to nothing"] = partial(_verb, home, arguments)
        found.work[f"python -c 'import ...' for {verb}"] = partial(_imports, libraries)
        if verb != "monitor":
            found.figures += _saveable(home, verb, arguments, libraries)
    return found


def _verb(home: Path, arguments: tuple[str, ...], _number: int) -> Cost:
    return offdag(home, *arguments)


def _imports(libraries: str, _number: int) -> Cost:
    return python(f"import {libraries}")


def _saveable(home: Path, verb: str, arguments: tuple[str, ...], libraries: str) -> list[Callable[[Costs], Figure]]:
    """The packages that a verb imports beside its libraries, the slowest ones by name: what could be saved at most."""
    needed = _import_times(home, ["-c", f"import {libraries}"])
    times = _import_times(home, ["-m", "offdag", *arguments])
    beside: Counter[str] = Counter()
    for module, microseconds in times.items():
        if module not in needed:
            beside[module.partition(".")[0]] += microseconds
    named = ", ".join(f"{package} {us / 1000:.0f}" for package, us in beside.most_common(_NAMED))
    total = sum(beside.values()) / 1000
    return [lambda _: Figure(f"imports of {verb} beside its libraries", total, f"ms ({named})", 150)]


def _import_times(home: Path, arguments: list[str]) -> dict[str, int]:
    """Microseconds of each module's own import."""
    env = {**os.environ, "OFFDAG_MONITOR_PROJECT_DIR": str(Path("monitor_project").absolute())}
    command = [sys.executable, "-X", "importtime", *arguments]
    output = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=False).stderr
    return {match[2]: int(match[1]) for match in _LINE.finditer(output)}
