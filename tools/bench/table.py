"""The numbers as Markdown: costs by name, and the figures that follow from them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from bench.measure import summary

# What `python -m bench` writes as JSON: machine, costs (name to a list of CPU seconds and peak MiB), figures.
Numbers = dict[str, Any]


_TABLE = re.compile(r"(?<=<!-- measured -->\n).*?(?=<!-- end -->)", re.DOTALL)


def put_table(new: str, page: Path) -> None:
    """Put tables in place of those that a page has between its marks."""
    text = _TABLE.sub(lambda _: new, page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")


def table(numbers: Numbers) -> str:
    """Both tables, with the machine above them."""
    machine = numbers["machine"]
    lines = [
        f"{machine['cores']} cores, {machine['memory_gib']} GiB; median (range) where there was more than one round.",
        "",
        "| what | rounds | CPU seconds | peak MiB |",
        "| --- | --- | --- | --- |",
    ]
    for name, costs in numbers["costs"].items():
        cpu, peak = [cost["cpu_seconds"] for cost in costs], [cost["peak_mib"] for cost in costs]
        lines.append(f"| {name} | {len(costs)} | {summary(cpu, 2)} | {summary(peak, 0)} |")
    lines += ["", "| figure | measured | goal |", "| --- | --- | --- |"]
    for figure in numbers["figures"]:
        value, unit, goal = figure["value"], figure["unit"], figure["goal"]
        shown = f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
        verdict = "" if goal is None else f"at most {goal:g}: {'kept' if value <= goal else 'missed'}"
        lines.append(f"| {figure['name']} | {shown} {unit} | {verdict} |")
    return "\n".join(lines) + "\n"
