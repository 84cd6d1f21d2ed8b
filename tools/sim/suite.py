"""A suite: its cases one after the other, their sum, and how to repeat a case that broke a promise."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable

import click

from sim.case import Case, CaseFunction


def run_suite(
    name: str, function: CaseFunction, seed: int, numbers: list[int], show: Callable[[str], None] = click.echo
) -> int:
    """Run the cases of a suite and show their sum; gives the number of broken promises, each shown with how to repeat it."""
    counts: Counter[str] = Counter()
    broken = 0
    start, cpu = time.monotonic(), _cpu_seconds()
    with click.progressbar(numbers, label=name, file=sys.stderr, hidden=not sys.stderr.isatty()) as bar:
        for number in bar:
            with tempfile.TemporaryDirectory(prefix="offdag-sim-") as folder:
                result = function(Case(seed, number, folder))
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


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that have ended."""
    return sum(os.times()[:4])


def _commit() -> str:
    try:
        done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    except OSError:
        return "unknown"
    return done.stdout.strip() or "unknown"
