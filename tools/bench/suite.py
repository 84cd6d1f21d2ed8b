"""What a benchmark is: named pieces of work that are measured in rounds, and figures that follow from their medians."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from bench.measure import Cost, cost_of

Costs = Mapping[str, list[Cost]]
# Measures one round; None where there is nothing to measure again.
Work = Callable[[int], Cost | None]


@dataclass(frozen=True)
class Figure:
    """A number that is not the cost of one piece of work.

    Attributes:
        name: What it measures.
        value: From the medians of all rounds.
        unit: Such as bytes.
        goal: The most that it should be; None where nothing was asked for.
    """

    name: str
    value: float
    unit: str
    goal: float | None = None


@dataclass(frozen=True)
class Page:
    """A page of the documentation with a table of its own.

    Attributes:
        path: The page.
        table: Makes the table, after all rounds.
    """

    path: Path
    table: Callable[[], str]


@dataclass
class Suite:
    """The work of one subject.

    Attributes:
        work: By name, in the order in which a round does it.
        figures: Made after all rounds.
        page: Where a table goes that is not one of costs; None without one.
        at_end: Closed after that.
    """

    work: dict[str, Work] = field(default_factory=dict)
    figures: list[Callable[[Costs], Figure]] = field(default_factory=list)
    page: Page | None = None
    at_end: ExitStack = field(default_factory=ExitStack)

    def cpu_sum(self, name: str, parts: list[str], goal: float | None = None) -> None:
        """Add a figure: the sum of the medians of some pieces of work."""
        self.figures.append(lambda costs: Figure(name, sum(_cpu(costs, part) for part in parts), "CPU s", goal))

    def cpu_ratio(self, name: str, parts: list[str], base: str, goal: float | None = None) -> None:
        """Add a figure: some pieces of work as a multiple of another one."""
        self.figures.append(
            lambda costs: Figure(name, sum(_cpu(costs, part) for part in parts) / _cpu(costs, base), "times", goal)
        )


def once(work: Work) -> Work:
    """The work in the first round only: for what takes many minutes, or has nothing to do a second time."""
    return lambda number: work(number) if number == 0 else None


def offdag(folder: Path, *arguments: str) -> Cost:
    """Run a verb in a folder, with the monitor project of this checkout."""
    env = {"OFFDAG_MONITOR_PROJECT_DIR": str(Path("monitor_project").absolute())}
    return cost_of([sys.executable, "-m", "offdag", *arguments], folder, env)


def python(code: str, *arguments: object, folder: Path | None = None) -> Cost:
    """Run a piece of Python in a separate process: a child begins with its parent's memory, which would count as the child's peak."""
    return cost_of([sys.executable, "-c", code, *map(str, arguments)], folder or Path.cwd(), {})


def made(module: str, function: str, *arguments: object) -> None:
    """Make data by a generator of this package, outside of what is measured."""
    made_by(f"bench.{module}", function, *arguments)


def made_by(module: str, function: str, *arguments: object) -> Cost:
    """Call a function in a separate process."""
    given = ", ".join(map(repr, arguments))
    return python(f"import datetime; from pathlib import *; from {module} import {function}; {function}({given})")


def _cpu(costs: Costs, name: str) -> float:
    return median(cost.cpu_seconds for cost in costs[name])
