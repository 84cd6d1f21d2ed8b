"""The report of a large project, 5,000 nodes and a million results: its cost, its size, and what a browser needs for it."""

from __future__ import annotations

import shutil
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from bench.measure import Cost
from bench.suite import Costs, Figure, Suite, made, offdag

_NEWEST = datetime(2026, 6, 30)
_AS_OF = "2026-06-30T01:00:00"
_RUNS, _NODES, _DAYS = 200, 5_000, 30
_NAME = f"report, {_NODES:,} nodes and {_RUNS * _NODES:,} results"
_MEGABYTES_GOAL, _CPU_GOAL, _TASK_GOAL, _MEMORY_GOAL = 4.0, 10.0, 200.0, 500.0
# Tasks that keep the page from answering for longer than 50 ms, as the browser tells them.
_WATCH = """
window.tasks = [];
new PerformanceObserver((list) => list.getEntries().forEach((task) => tasks.push(task.duration)))
  .observe({ type: "longtask", buffered: true });
"""


def suite(folder: Path, _full: bool) -> Suite:
    """One history. The figures of the browser are missing where there is no Chromium."""
    home = folder / "reporting"
    made("histories", "write_history", str(home / ".offdag" / "history"), _RUNS, _NODES, _DAYS, _NEWEST)
    offdag(home, "compact")
    offdag(home, "monitor", "--as-of", _AS_OF)
    found = Suite({_NAME: partial(_report, home)})
    found.cpu_sum(f"{_NAME}, CPU", [_NAME], _CPU_GOAL)
    found.figures.append(lambda costs: Figure(f"{_NAME}, peak memory", _peak(costs), "MiB", _MEMORY_GOAL))
    found.figures.append(lambda _: Figure(f"{_NAME}, size of the page", _size(home), "MB", _MEGABYTES_GOAL))
    if shutil.which("chromium"):
        found.figures += [partial(_browser, home, name) for name in _STEPS]
    return found


def _report(home: Path, _number: int) -> Cost:
    return offdag(home, "report")


def _peak(costs: Costs) -> float:
    return max(cost.peak_mib for cost in costs[_NAME])


def _size(home: Path) -> float:
    return (home / ".offdag" / "report.html").stat().st_size / 1e6


def _nothing(_page: Any) -> None:
    """The page is only opened."""


def _filter(page: Any) -> None:
    page.locator("[name=n_text]").press_sequentially("model_01", delay=40)
    page.select_option("[name=n_type]", "test")
    page.fill("[name=n_text]", "")
    page.get_by_role("button", name="Node", exact=True).click()
    page.fill("[name=i_text]", "model")


def _other_run(page: Any) -> None:
    page.locator("#run").select_option(index=1)


_STEPS = {
    "longest task of the browser while it opens the page": (_nothing, None),
    "longest task while nodes and incidents are filtered and sorted": (_filter, _TASK_GOAL),
    "longest task while another run is drawn": (_other_run, None),
}


def _browser(home: Path, name: str, _costs: Costs) -> Figure:
    from playwright.sync_api import sync_playwright

    act, goal = _STEPS[name]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        page.add_init_script(_WATCH)
        page.goto((home / ".offdag" / "report.html").as_uri())
        page.wait_for_timeout(1500)
        if act is not _nothing:
            page.evaluate("window.tasks = []")
            act(page)
            page.wait_for_timeout(500)
        longest = page.evaluate("Math.max(0, ...window.tasks)")
        browser.close()
    return Figure(name, float(longest), "ms", goal)
