"""A suite: its cases one after the other, their sum, and how to repeat a case that broke a promise."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context

import click

from sim.case import Case, CaseFunction, CaseResult


def run_suite(
    name: str,
    function: CaseFunction,
    seed: int,
    numbers: list[int],
    show: Callable[[str], None] = click.echo,
    processes: int = 1,
) -> int:
    """Run the cases of a suite and show their sum; gives the number of broken promises, each shown with how to repeat it."""
    counts: Counter[str] = Counter()
    broken = 0
    start, cpu = time.monotonic(), _cpu_seconds()
    results = _results(function, seed, numbers, processes)
    bar = click.progressbar(results, len(numbers), name, file=sys.stderr, hidden=not sys.stderr.isatty())
    with bar:
        for number, result in bar:
            counts += result.counts
            for promise in result.broken:
                broken += 1
                show(f"BROKEN {promise}")
                show(f"       python -m sim {name} --seed {seed} --case {number}    (commit {_commit()})")
    did = ", ".join(f"{count} {what}" for what, count in sorted(counts.items()))
    seconds, cpu_seconds = time.monotonic() - start, _cpu_seconds() - cpu
    show(
        f"{name}: seed {seed}, {len(numbers)} cases, {broken} broken promises; {did}; {seconds:.0f} s, {cpu_seconds:.0f} CPU s"
    )
    return broken


def _results(function: CaseFunction, seed: int, numbers: list[int], processes: int) -> Iterator[tuple[int, CaseResult]]:
    """The cases as they end, in this process or in several."""
    if processes == 1:
        yield from ((number, _run_in_folder(function, seed, number)) for number in numbers)
        return
    # Not forked: the cases start threads.
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        futures = {pool.submit(_run_in_folder, function, seed, number): number for number in numbers}
        for future in as_completed(futures):
            yield futures[future], future.result()


def _run_in_folder(function: CaseFunction, seed: int, number: int) -> CaseResult:
    with tempfile.TemporaryDirectory(prefix="offdag-sim-") as folder:
        return function(Case(seed, number, folder))


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def _commit() -> str:
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
