"""``python -m bench``: measure, print a table, and keep the numbers as JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from bench.measure import Cost, cost_of, summary

_NEWEST = datetime(2026, 6, 30)
# Runs, nodes and days of each history: the last one is 20,000 files a table, as nobody's compaction would leave them.
_HISTORIES = {"10,000": (200, 50, 7), "100,000": (2_000, 50, 70), "1,000,000": (20_000, 50, 700)}
_BACKFILL_FILES, _RESULTS = 100, 1_500
_LARGE_NODES = 37_500


def main() -> None:
    """Run the benchmarks in rounds and write their table."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each is measured")
    parser.add_argument(
        "--largest", choices=list(_HISTORIES), default="100,000", help="node results of the largest history"
    )
    parser.add_argument("--out", type=Path, default=Path(".offdag/bench.json"), help="where the numbers go")
    given = parser.parse_args()
    measured: dict[str, list[Cost]] = {}
    with tempfile.TemporaryDirectory(prefix="offdag-bench-") as folder:
        work = _prepared(Path(folder), given.largest)
        # In rounds, so that a noisy minute of the machine falls on all of them.
        for number in range(given.rounds):
            for name, measure in work.items():
                print(f"round {number + 1} of {given.rounds}: {name}", file=sys.stderr, flush=True)
                measured.setdefault(name, []).append(measure(number))
    _write(measured, given.out)


def _prepared(folder: Path, largest: str) -> dict[str, Callable[[int], Cost]]:
    """What is measured, by name; data is made here, outside of the measured time."""
    one, many = folder / "one", folder / "many"
    _made("artifacts", "write_runs", one, 1, _RESULTS, _NEWEST)
    _made("artifacts", "write_runs", many, _BACKFILL_FILES, _RESULTS, _NEWEST)

    def offdag(*arguments: str) -> Cost:
        env = {"OFFDAG_MONITOR_PROJECT_DIR": str(Path("monitor_project").absolute())}
        return cost_of([sys.executable, "-m", "offdag", *arguments], folder, env)

    def collected(source: Path, number: int) -> Cost:
        history = str(folder / f"history-{source.name}-{number}")
        return offdag("collect", "-r", "-e", "prod", "--processes", "1", "--history", history, str(source))

    work: dict[str, Callable[[int], Cost]] = {
        "offdag --version": lambda _: offdag("--version"),
        f"collect one run of {_RESULTS:,} results": lambda number: collected(one, number),
        f"collect {_BACKFILL_FILES} runs of {_RESULTS:,} results": lambda number: collected(many, number),
    }
    _made("artifacts", "write_manifests", folder / "manifests", _LARGE_NODES, _NEWEST)
    first, again = (folder / "manifests" / name / "manifest.json" for name in ("first", "again"))
    size = first.stat().st_size / 1e6
    decode = "import msgspec, pathlib, sys; [msgspec.json.decode(p.read_bytes()) for p in pathlib.Path(sys.argv[1]).rglob('*.json')]"
    work |= {
        "decode the same files as JSON, nothing else": lambda _: cost_of(
            [sys.executable, "-c", decode, str(many)], folder, {}
        ),
        f"collect a manifest of {_LARGE_NODES:,} nodes, {size:.0f} MB": lambda number: offdag(
            "collect", "--history", str(folder / f"large-{number}"), str(first)
        ),
        "collect the same manifest, unchanged": lambda number: offdag(
            "collect", "--history", str(folder / f"large-{number}"), str(again)
        ),
    }
    for name, (runs, nodes, days) in _HISTORIES.items():
        print(f"writing a history of {name} node results", file=sys.stderr, flush=True)
        history, database = folder / f"history-{name}", folder / f"{name}.duckdb"
        _made("histories", "write_history", str(history), runs, nodes, days, _NEWEST)
        arguments = ("monitor", "--history", str(history), "--monitor-database", str(database))
        work[f"monitor, {name} node results, first run"] = partial(_monitor, offdag, arguments, database)
        work[f"monitor, {name} node results, nothing new"] = partial(_monitor, offdag, arguments, None)
        if name == largest:
            break
    return work


def _made(module: str, function: str, *arguments: object) -> None:
    """Make data in a process of its own: a child begins with its parent's memory, which would count as the child's peak."""
    given = ", ".join(map(repr, arguments))
    code = f"import datetime; from pathlib import *; from bench.{module} import {function}; {function}({given})"
    cost_of([sys.executable, "-c", code], Path.cwd(), {})


def _monitor(offdag: Callable[..., Cost], arguments: tuple[str, ...], forget: Path | None, _round: int) -> Cost:
    """A monitor run; ``forget`` is a database to begin without."""
    if forget is not None:
        forget.unlink(missing_ok=True)
    return offdag(*arguments, "--as-of", (_NEWEST + timedelta(hours=1)).isoformat())


def _write(measured: dict[str, list[Cost]], out: Path) -> None:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    print(f"{os.cpu_count()} cores, {memory:.0f} GiB; median (range) of {len(next(iter(measured.values())))} rounds\n")
    print("| what | CPU seconds | peak MiB |\n| --- | --- | --- |")
    for name, costs in measured.items():
        cpu, peak = [c.cpu_seconds for c in costs], [c.peak_mib for c in costs]
        print(f"| {name} | {summary(cpu, 2)} | {summary(peak, 0)} |")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({name: [vars(cost) for cost in costs] for name, costs in measured.items()}, indent=1))
    print(f"the numbers are in {out}", file=sys.stderr)


if __name__ == "__main__":
    main()
