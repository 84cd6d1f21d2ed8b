"""How often the cause that offdag names is the true one, over faults in real dbt projects."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

from bench.causes.faults import faults
from bench.causes.naming import Score, counts, name_causes, seconds_to_name
from bench.causes.recording import record
from bench.measure import Cost
from bench.suite import Costs, Figure, Page, Suite, made_by, once

_NODE_GOAL, _THREE_GOAL, _KIND_GOAL, _SECONDS_GOAL = 5.0, 1.0, 10.0, 1.0


def suite(folder: Path, full: bool) -> Suite:
    """All faults: a quarter of an hour, most of it for dbt."""
    del full
    found, scored = Suite(), folder / "causes.json"
    found.work["causes of faults in five dbt projects, with dbt's runs"] = once(partial(_measure, scored))
    found.figures += [
        partial(_wrong, scored, "faults whose node is not named first", "node first", _NODE_GOAL),
        partial(_wrong, scored, "faults whose node is not among three", "node in three", _THREE_GOAL),
        partial(_wrong, scored, "faults whose kind of cause is not named first", "kind first", _KIND_GOAL),
        partial(_seconds, scored),
    ]
    found.page = Page(Path("docs/causes.md"), partial(_table, scored))
    return found


def write(path: str) -> None:
    """Record all faults, name their causes, and write what was right as JSON."""
    folder = Path(path).parent / "causes"
    known = faults()
    record(known, folder / "history")
    scores = name_causes(known, folder / "history", folder / "monitor.duckdb")
    projects = sorted({fault.project for fault in known})
    found = {
        "all": counts(scores),
        "projects": {name: counts([s for s in scores if s.fault.project == name]) for name in projects},
        "faults": {
            word: counts([s for s in scores if s.fault.fault == word]) for word in sorted({f.fault for f in known})
        },
        "wrong": [_described(score) for score in scores if not (score.has_node(1) and score.has_kind)],
        "cpu_seconds": seconds_to_name(folder / "monitor.duckdb"),
    }
    Path(path).write_text(json.dumps(found), encoding="utf-8")


def _described(score: Score) -> str:
    """A fault that was not named rightly for each of its incidents."""
    name = f"{score.fault.project}, {score.fault.fault}: {score.fault.about}"
    if not score.named:
        return f"{name} No incident."
    first = sorted({f"{kind} of {node}" if node else str(kind) for (kind, node), *_ in score.named})
    return f"{name} Named: {', '.join(first)}."


def _measure(scored: Path, _number: int) -> Cost:
    return made_by("bench.causes.suite", "write", str(scored))


def _wrong(scored: Path, name: str, part: str, goal: float, _costs: Costs) -> Figure:
    """The share that is not named rightly, in percent of the faults that had an incident."""
    found = _read(scored)["all"]
    return Figure(name, 100 * (found["seen"] - found[part]) / found["seen"], "%", goal)


def _seconds(scored: Path, _costs: Costs) -> Figure:
    return Figure("naming the causes of all of them", _read(scored)["cpu_seconds"], "CPU s", _SECONDS_GOAL)


def _table(scored: Path) -> str:
    """Faults by word and project, as Markdown."""
    found = _read(scored)
    lines = [
        "| faults | had incidents | incidents | node first | node among three | kind first |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    lines += [_row("all", found["all"])]
    lines += [_row(f"of {name}", count) for name, count in found["projects"].items()]
    lines += [_row(name.replace("_", " "), count) for name, count in found["faults"].items()]
    lines += [
        "",
        "Where the first cause was not the true one:" if found["wrong"] else "All first causes were true.",
        "",
    ]
    lines += [f"- {line}" for line in found["wrong"]]
    return "\n".join(lines).rstrip() + "\n"


def _row(name: str, count: dict[str, int]) -> str:
    seen = count.get("seen", 0)
    shares = [_percent(count.get(part, 0), seen) for part in ("node first", "node in three", "kind first")]
    return f"| {name}: {count['faults']} | {seen} | {count.get('incidents', 0)} | {' | '.join(shares)} |"


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if whole else "unknown"


def _read(scored: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(scored.read_text(encoding="utf-8"))
    return read
