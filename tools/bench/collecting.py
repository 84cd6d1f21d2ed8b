"""Reading artifacts: one run, a backfill against decoding alone, a large manifest."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from bench.measure import Cost
from bench.suite import Figure, Suite, made, offdag, python

_NEWEST = datetime(2026, 6, 30)
_FILES, _RESULTS = 100, 1_500
_LARGE_NODES = 37_500
_DECODE = (
    "import orjson, pathlib, sys; [orjson.loads(p.read_bytes()) for p in pathlib.Path(sys.argv[1]).rglob('*.json')]"
)


def suite(folder: Path, _full: bool) -> Suite:
    """Collect one run, a hundred runs, and a manifest of 37,500 nodes twice."""
    one, many, large = (folder / name for name in ("one", "many", "manifests"))
    made("artifacts", "write_runs", one, 1, _RESULTS, _NEWEST)
    made("artifacts", "write_runs", many, _FILES, _RESULTS, _NEWEST)
    made("artifacts", "write_manifests", large, _LARGE_NODES, _NEWEST)
    size = (large / "first" / "manifest.json").stat().st_size / 1e6
    backfill, decode = f"collect {_FILES} runs of {_RESULTS:,} results", "orjson.loads of the same files"
    found = Suite(
        {
            f"collect one run of {_RESULTS:,} results": lambda number: _collected(folder, one, f"one-{number}"),
            backfill: lambda number: _collected(folder, many, f"many-{number}"),
            decode: lambda _: python(_DECODE, many),
            f"collect a manifest of {_LARGE_NODES:,} nodes, {size:.0f} MB": lambda number: _collected(
                folder, large / "first", f"large-{number}"
            ),
            "collect the same manifest, unchanged": lambda number: _collected(
                folder, large / "again", f"large-{number}"
            ),
        }
    )
    found.cpu_ratio("backfill against orjson.loads of the same files, start-up of both within", [backfill], decode, 5.0)
    found.figures.append(
        lambda costs: Figure(
            "backfill, results for each CPU second",
            _FILES * _RESULTS / sorted(c.cpu_seconds for c in costs[backfill])[len(costs[backfill]) // 2],
            "results",
        )
    )
    return found


def _collected(folder: Path, source: Path, history: str) -> Cost:
    arguments = ("-r", "-e", "prod", "--processes", "1", "--history", str(folder / f"history-{history}"))
    return offdag(folder, "collect", *arguments, str(source))
