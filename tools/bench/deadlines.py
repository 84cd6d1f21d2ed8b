"""How well missed deadlines are foretold, over the nightly builds of generated teams: some start late, some take long, some are killed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from bench.measure import Cost, cost_of
from bench.suite import Costs, Figure, Suite, once
from offdag.history.history import History

_TEAMS, _NIGHTS = 200, 60
_NEWEST = datetime(2026, 6, 30, 12)
_FAULT_RATE = 0.06
_FORETOLD_GOAL, _FALSE_GOAL = 10.0, 5.0

_COUNTS = """
    with ended as (
        select *, next_build_at > due_at as is_missed
        from int_run_forecasts
        where next_build_at is not null and p50_seconds is not null
    )
    select
        count(*) filter (is_missed) as missed,
        count(*) filter (is_missed and coalesce(at_risk_at > due_at - interval 10 minute, true)) as not_foretold,
        count(*) filter (not is_missed) as kept,
        count(*) filter (not is_missed and at_risk_at is not null) as false_alarms,
        count(*) filter (at_risk_at is not null) as at_risk,
        count(*) filter (expected_p90_at is not null) as forecast,
        count(*) filter (next_build_at <= expected_p90_at) as within_p90
    from ended
"""


def suite(folder: Path, _full: bool) -> Suite:
    """One history of all teams, monitored once."""
    found, home = Suite(), folder / "deadlines"
    found.work[f"deadlines of {_TEAMS} teams and {_NIGHTS} nights"] = once(partial(_monitor, home))
    found.figures += [
        partial(
            _share, home, "missed deadlines not foretold ten minutes before", "not_foretold", "missed", _FORETOLD_GOAL
        ),
        partial(_share, home, "kept deadlines that were at risk", "false_alarms", "kept", _FALSE_GOAL),
        partial(_share, home, "deadlines at risk that were kept", "false_alarms", "at_risk", None),
        partial(_share, home, "builds that ended by their expected P90", "within_p90", "forecast", None),
    ]
    return found


def _monitor(home: Path, _number: int) -> Cost:
    write(home)
    command = ["offdag", "monitor", "--as-of", _NEWEST.isoformat(), "--config-dir", str(home / "offdag")]
    return cost_of(
        [*command, "--history", str(home / "history"), "--monitor-database", str(home / "monitor.duckdb")], home, {}
    )


def _share(home: Path, name: str, part: str, whole: str, goal: float | None, _costs: Costs) -> Figure:
    with duckdb.connect(str(home / "monitor.duckdb"), read_only=True) as database:
        counts = database.sql(_COUNTS).fetchdf().iloc[0]
    return Figure(name, 100 * float(counts[part] / counts[whole]), "%", goal)


@dataclass(frozen=True)
class _Team:
    """A nightly build.

    Attributes:
        name: Its dbt project.
        begins_at: Hours after midnight at which it starts.
        minutes: What it usually takes.
        scatter: Standard deviation of the logarithm of that.
        is_recorded: Whether it runs under `offdag run`.
    """

    name: str
    begins_at: float
    minutes: float
    scatter: float
    is_recorded: bool


def write(home: Path, seed: int = 11) -> None:
    """The history and the cadences of all teams, below ``home``. A deadline is two to six hours after the usual end."""
    rng = random.Random(seed)
    history = History(str(home / "history"))
    cadences = [
        "project,environment,command,selection,every_hours,grace_hours,days,since,comment,due_time,timezone,timeout_hours,calendar"
    ]
    for number in range(_TEAMS):
        team = _Team(
            f"team_{number}", rng.uniform(1, 4), rng.lognormvariate(3, 0.8), rng.uniform(0.05, 0.3), number % 2 == 0
        )
        due = min(11.9, team.begins_at + team.minutes / 60 + rng.uniform(2, 6))
        cadences.append(f"{team.name},prod,build,,12,0,,,,{int(due):02}:{int(due % 1 * 60):02},UTC,,")
        rows: dict[str, list[dict[str, Any]]] = {"invocations": [], "job_runs": [], "job_starts": []}
        for night in range(_NIGHTS):
            day = datetime(_NEWEST.year, _NEWEST.month, _NEWEST.day) - timedelta(days=_NIGHTS - 1 - night)
            for table, row in _night(rng, team, day):
                rows[table].append(row)
        for table, found in rows.items():
            if found:
                history.put(table, _NEWEST.date(), team.name, found, {"project": team.name, "environment": "prod"})
    folder = home / "offdag" / "seeds"
    folder.mkdir(parents=True)
    (folder / "run_cadences.csv").write_text("\n".join(cadences) + "\n")


def _night(rng: random.Random, team: _Team, day: datetime) -> Iterator[tuple[str, dict[str, Any]]]:
    """What one night leaves: a fault delays the start, lengthens the build, or kills it, so that somebody builds in the morning."""
    fault = rng.choice(["delay", "length", "kill"]) if rng.random() < _FAULT_RATE else None
    started_at = day + timedelta(hours=team.begins_at, minutes=rng.expovariate(0.5))
    minutes = team.minutes * rng.lognormvariate(0, team.scatter)
    if fault == "delay":
        started_at += timedelta(hours=rng.expovariate(0.25))
    if fault == "length":
        minutes *= rng.uniform(2, 30)
    if fault == "kill":
        if team.is_recorded:
            yield "job_starts", _start(f"{team.name}-{day:%m%d}-killed", started_at)
        started_at = max(started_at, day + timedelta(hours=rng.uniform(8, 12)))
    run_id = f"{team.name}-{day:%m%d}"
    ended_at = started_at + timedelta(minutes=minutes)
    if ended_at >= _NEWEST:
        return
    if team.is_recorded:
        start = _start(run_id, started_at)
        yield "job_starts", start
        yield "job_runs", {**start, "ended_at": ended_at, "exit_code": 0, "has_results": True, "invocation_id": run_id}
    yield (
        "invocations",
        {
            "invocation_id": run_id,
            "generated_at": ended_at,
            "command": "build",
            "is_build": True,
            "is_retry": False,
            "is_partial": False,
            "selection": "{}",
            "dbt_version": "1.11.16",
            "started_at": started_at,
            "elapsed_seconds": minutes * 60,
            "result_count": 1,
            "tolerated_count": 0,
        },
    )


def _start(run_id: str, started_at: datetime) -> dict[str, Any]:
    return {"job_run_id": run_id, "command": "dbt build", "is_build": True, "started_at": started_at}
