"""Histories from ten thousand to ten million node results: compaction, the monitor, the report, bytes."""

from __future__ import annotations

import sys
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from bench.measure import Cost
from bench.suite import Costs, Figure, Suite, Work, made, offdag, once

_NEWEST = datetime(2026, 6, 30)
# Node results: runs, nodes and days. A million and more are in 20,000 files a table, as without any compaction.
_SIZES = {10_000: (200, 50, 7), 100_000: (2_000, 50, 70), 1_000_000: (20_000, 50, 700), 10_000_000: (20_000, 500, 700)}
_ONCE_FROM = 10_000_000
_BYTES_GOAL, _SLOPE_GOAL = 20.0, 1.5


def suite(folder: Path, full: bool) -> Suite:
    """The two smaller histories; all four where all is asked for."""
    found = Suite()
    smaller: int | None = None
    for results, (runs, nodes, days) in list(_SIZES.items())[: None if full else 2]:
        print(f"writing a history of {results:,} node results", file=sys.stderr, flush=True)
        home = folder / f"history-{results}"
        home.mkdir()
        made("histories", "write_history", str(home / "history"), runs, nodes, days, _NEWEST)
        named = partial("{}, {:,} node results".format)
        work: dict[str, Work] = {
            named("compact", results): once(partial(_compact, home)),
            named("monitor from nothing", results): partial(_monitor, home, True),
            named("monitor with one new build", results): partial(_monitor_new_build, home, runs, nodes),
            named("monitor with nothing new", results): partial(_monitor, home, False),
            named("report", results): partial(_report, home),
        }
        found.work |= {name: once(measure) for name, measure in work.items()} if results >= _ONCE_FROM else work
        found.figures.append(partial(_bytes, home, results))
        if smaller:
            for word in ("monitor with nothing new", "monitor with one new build", "monitor from nothing", "report"):
                goal = _SLOPE_GOAL if word == "monitor with nothing new" else None
                found.cpu_ratio(
                    f"{word}, {results:,} against {smaller:,}", [named(word, results)], named(word, smaller), goal
                )
        smaller = results
    return found


def _where(home: Path) -> tuple[str, ...]:
    return "--history", str(home / "history"), "--monitor-database", str(home / "monitor.duckdb")


def _compact(home: Path, _number: int) -> Cost:
    return offdag(home, "compact", "--history", str(home / "history"))


def _monitor(home: Path, forget: bool, number: int) -> Cost:
    if forget:
        (home / "monitor.duckdb").unlink(missing_ok=True)
    as_of = _NEWEST + timedelta(hours=1, minutes=number)
    return offdag(home, "monitor", *_where(home), "--as-of", as_of.isoformat())


def _monitor_new_build(home: Path, runs: int, nodes: int, number: int) -> Cost:
    at = _NEWEST + timedelta(minutes=number + 1)
    made("histories", "write_build", str(home / "history"), nodes, runs + number, at)
    return _monitor(home, False, number)


def _report(home: Path, _number: int) -> Cost:
    return offdag(home, "report", *_where(home)[2:])


def _bytes(home: Path, results: int, _costs: Costs) -> Figure:
    """Of what the history holds after compaction; the raw artifacts are not among it."""
    size = sum(path.stat().st_size for path in _live_files(home / "history"))
    return Figure(f"bytes on disk for each of {results:,} node results", size / results, "bytes", _BYTES_GOAL)


def _live_files(history: Path) -> list[Path]:
    """The tables' files without those that were merged, which the next compaction removes."""
    folders = {path.parent for path in history.glob("tables/*/*/merged-*.parquet")}
    files = history.glob("tables/*/*/*.parquet")
    return [p for p in files if p.parent not in folders or p.name.startswith("merged-")]
