"""How often each kind of signal is right, over simulated years of data teams, and how many messages a project sends that fails daily."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from bench.measure import Cost
from bench.suite import Costs, Figure, Page, Suite, made_by, once

_YEARS, _ALL_YEARS = 4, 10
_MISSED_GOAL, _FALSE_GOAL, _MESSAGES_GOAL = 1.0, 2.0, 30.0


def suite(folder: Path, full: bool) -> Suite:
    """Some years; more where all is asked for."""
    found, counts = Suite(), folder / "signals.json"
    years = _ALL_YEARS if full else _YEARS
    found.work[f"signals of {years} simulated years"] = once(partial(_simulate, counts, years))
    found.figures += [
        partial(
            _share,
            counts,
            "faults without an incident in the first run that showed them",
            ("found",),
            "faults",
            _MISSED_GOAL,
        ),
        partial(_share, counts, "incidents without a fault", ("right", "again"), "incidents", _FALSE_GOAL),
        partial(_messages, counts),
    ]
    found.page = Page(Path("docs/signals.md"), partial(_table, counts))
    return found


def _simulate(counts: Path, years: int, _number: int) -> Cost:
    return made_by("sim.corpus", "write", str(counts), years)


def _share(counts: Path, name: str, parts: tuple[str, ...], whole: str, goal: float, _costs: Costs) -> Figure:
    """The share that is not there, in percent, over all kinds."""
    kinds = _read(counts)["kinds"].values()
    there = sum(kind.get(part, 0) for kind in kinds for part in parts)
    all_of_them = sum(kind.get(whole, 0) for kind in kinds)
    return Figure(name, 100 * (all_of_them - there) / all_of_them, "%", goal)


def _messages(counts: Path, _costs: Costs) -> Figure:
    found = _read(counts)
    name = f"most messages of a week to a channel, {median(found['failures_a_day']):.0f} failures a day"
    return Figure(name, max(found["messages_a_week"]), "messages", _MESSAGES_GOAL)


def _table(counts: Path) -> str:
    """Faults and incidents by kind, as Markdown."""
    found = _read(counts)
    lines = [
        f"{found['years']} years of data teams.",
        "",
        "| kind | faults | found | recall | incidents | right | again | precision |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for kind, count in found["kinds"].items():
        faults, there, incidents, right, again = (
            count.get(name, 0) for name in ("faults", "found", "incidents", "right", "again")
        )
        recall, precision = _percent(there, faults), _percent(right + again, incidents)
        lines.append(f"| `{kind}` | {faults} | {there} | {recall} | {incidents} | {right} | {again} | {precision} |")
    weeks, failures = found["messages_a_week"], found["failures_a_day"]
    lines += [
        "",
        f"A project of {found['nodes']} nodes, {min(failures)} to {max(failures)} of which failed each day, monitored once a day, "
        f"sent {min(weeks)} to {max(weeks)} messages a week to its channel; details and ends are in their threads.",
        "",
        "What was not right:" if found["unlike"] else "All was right.",
        "",
        *(f"- {line}" for line in found["unlike"]),
    ]
    return "\n".join(lines) + "\n"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "unknown"


def _read(counts: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(counts.read_text(encoding="utf-8"))
    return read
