"""The log that dbt wrote in a run: its last lines, and the one that names why it ended."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from offdag.dbt.captured import without_colors

_READ_BYTES = 50_000
_TAIL_LINES = 20
_LONGEST = 300

# 11:40:02.566739 [error] [MainThread]: Encountered an error:
_ENTRY = re.compile(r"\d\d:\d\d:\d\d(?:\.\d+)? +\[(\w+) *\] \[[^\]]*\]: (.*)")
# Begins each run of dbt in its log:
# ============================== 11:40:01.102933 | 2c7b5f0a-... ==============================
_RUN = re.compile(r"^={10,} .* \| .* ={10,}\n", re.M)
_HEADLINE = "Encountered an error:"
# Other formats of a log, such as Fusion's.
_OTHER_ERROR = re.compile(r"(?i)\s*\[?error\]?\s*:\s*(.+)")


@dataclass(frozen=True)
class LogEnd:
    """How a log ends.

    Attributes:
        tail: Its last lines, without those of level debug.
        error: dbt's last error in one line; None where the log shows none.
    """

    tail: str
    error: str | None

    @classmethod
    def read(cls, path: Path, since: datetime, redact: Callable[[str], str]) -> LogEnd | None:
        """Read the end of a log.

        Args:
            path: dbt.log.
            since: Start of the run (naive UTC): a log that was last written before is of another one.
            redact: Takes credentials and data out of a text.

        Returns:
            None where there is no log of this run.
        """
        try:
            if datetime.fromtimestamp(path.stat().st_mtime, timezone.utc).replace(tzinfo=None) < since:
                return None
            with path.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - _READ_BYTES))
                text = file.read().decode(errors="replace")
        except OSError:
            return None
        # What is above belongs to earlier runs.
        text = _RUN.split(text)[-1]
        entries = _entries(redact(without_colors(text)))
        shown = [line for level, lines in entries if level != "debug" for line in lines]
        error = next((_one_line(lines) for level, lines in reversed(entries) if level == "error"), None)
        return cls("\n".join(shown[-_TAIL_LINES:]), error)


def _entries(text: str) -> list[tuple[str, list[str]]]:
    """Level and lines of each entry; what follows an entry without a time belongs to it."""
    entries: list[tuple[str, list[str]]] = []
    is_dbt_core = _ENTRY.search(text) is not None
    for line in text.splitlines():
        if found := _ENTRY.match(line):
            entries.append((found[1].lower(), [found[2]]))
        elif not is_dbt_core and (found := _OTHER_ERROR.match(line)):
            entries.append(("error", [found[1]]))
        elif entries:
            entries[-1][1].append(line)
        else:
            entries.append(("unknown", [line]))
    return entries


def _one_line(lines: list[str]) -> str | None:
    """The first line that says something, and the one below it: `Parsing Error` alone explains nothing."""
    shown = [line.strip() for line in lines if line.strip() and line.strip() != _HEADLINE]
    return ": ".join(line.rstrip(":") for line in shown[:2])[:_LONGEST] or None
