"""Loading a history into a private Postgres server, where Postgres is installed."""

from __future__ import annotations

import sys
from datetime import datetime
from functools import partial
from pathlib import Path

from bench import postgres
from bench.measure import Cost
from bench.suite import Figure, Suite, made, offdag

_NEWEST = datetime(2026, 6, 30)
_RUNS, _NODES, _DAYS = 2_000, 50, 70


def suite(folder: Path, _full: bool) -> Suite:
    """A load from nothing, and one of the same history again."""
    if postgres.binaries() is None:
        print("there is no Postgres on this machine: loading is not measured", file=sys.stderr)
        return Suite()
    found = Suite()
    home = folder / "load"
    made("histories", "write_history", str(home / ".offdag" / "history"), _RUNS, _NODES, _DAYS, _NEWEST)
    offdag(home, "compact")
    (folder / "postgres").mkdir()
    server = found.at_end.enter_context(postgres.running(folder / "postgres"))
    (home / "dbt_project.yml").write_text("name: bench\nprofile: bench\n")
    (home / "profiles.yml").write_text(f"bench: {{target: prod, outputs: {{prod: {server.profile()}}}}}\n")
    results = _RUNS * _NODES
    first, again = f"load {results:,} node results into Postgres", "load the same again"
    found.work = {first: partial(_load, home), again: partial(_load, home)}
    found.figures.append(
        lambda costs: Figure(
            "load, results for each CPU second",
            results / sorted(cost.cpu_seconds for cost in costs[first])[len(costs[first]) // 2],
            "results",
        )
    )
    return found


def _load(home: Path, number: int) -> Cost:
    return offdag(home, "load", "--schema", f"round_{number}")
