"""CPU seconds and peak memory of a command and everything that it started."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Cost:
    """What one run of a command took.

    Attributes:
        cpu_seconds: User and system time of the process and of all children that it waited for.
        peak_mib: Largest resident memory of any one of them.
    """

    cpu_seconds: float
    peak_mib: float


class CommandFailure(Exception):
    """A command ended with a code that is not fine; its output is the text."""


def cost_of(command: Sequence[str], folder: Path, env: Mapping[str, str], codes: tuple[int, ...] = (0,)) -> Cost:
    """Run a command and measure it.

    Args:
        command: Program and arguments.
        folder: Where it runs.
        env: Variables in addition to those of this process.
        codes: Exit codes that are fine.

    Raises:
        CommandFailure: It ended with another code.
    """
    process = subprocess.Popen(
        list(command),
        cwd=folder,
        env={**os.environ, **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in codes:
        raise CommandFailure(f"{' '.join(command)} ended with {process.returncode}\n{output}")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def summary(values: Sequence[float], digits: int = 1) -> str:
    """Median and range of some rounds."""
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"
