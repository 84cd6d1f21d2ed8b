"""Real dbt builds of N models, and what collect, monitor, notify and report cost after them."""

from __future__ import annotations

import sys
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

from bench.measure import Cost, cost_of
from bench.suite import Suite, made, offdag, once

_MODELS = (100, 500, 2_000)
_ONCE_FROM = 2_000
# CPU seconds that collect, monitor, notify and report may take together.
_GOALS = {100: 6.0, 500: 25.0}


def suite(folder: Path, full: bool) -> Suite:
    """Builds of 100 models, of 500 and 2,000 too where all is asked for. Each round builds, then monitors that build."""
    found = Suite()
    for models in _MODELS if full else _MODELS[:1]:
        home = folder / f"build-{models}"
        made("projects", "write_project", home / "project", models, datetime.now(timezone.utc).replace(tzinfo=None))
        print(f"building {models:,} models once, and the monitor for the first time", file=sys.stderr, flush=True)
        steps = _steps(home)
        # Freshness once; dbt and the monitor parse their projects for the first time here.
        for step in (partial(_dbt, home, "source", "freshness"), *steps.values()):
            step()
        names = {word: f"{word}, {models:,} models" for word in steps}
        for word, step in steps.items():
            work = partial(_round, step)
            found.work[names[word]] = once(work) if models >= _ONCE_FROM else work
        after = [names[word] for word in ("collect", "monitor", "notify", "report")]
        found.cpu_sum(f"collect, monitor, notify and report, {models:,} models", after, _GOALS.get(models))
        found.cpu_ratio(f"the same against the dbt build, {models:,} models", after, names["dbt build"])
    return found


def _steps(home: Path) -> dict[str, partial[Cost]]:
    return {
        "dbt build": partial(_dbt, home, "build"),
        "collect": partial(offdag, home, "collect", "-e", "prod", "project/target"),
        "monitor": partial(offdag, home, "monitor"),
        "notify": partial(offdag, home, "notify"),
        "report": partial(offdag, home, "report"),
    }


def _round(step: partial[Cost], _number: int) -> Cost:
    return step()


def _dbt(home: Path, *arguments: str) -> Cost:
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--quiet", *arguments]
    return cost_of(command, home / "project", {"DBT_SEND_ANONYMOUS_USAGE_STATS": "false"})
