"""How verbs print: data on stdout as a table or JSON, log lines on stderr."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import click

from offdag.dbt.redaction import redacted

FORMAT = click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)


class _Stderr(logging.Handler):
    """One line per record on stderr. A stderr that cannot be written does not stop a verb."""

    def emit(self, record: logging.LogRecord) -> None:
        with contextlib.suppress(OSError, ValueError):
            click.echo(no_commands(printable(redacted(self.format(record)), keep="\n")), err=True)


def log_to_stderr() -> logging.Logger:
    """Write offdag's log lines to stderr; returns the logger of the command line."""
    logger = logging.getLogger("offdag")
    if not any(isinstance(handler, _Stderr) for handler in logger.handlers):
        logger.addHandler(_Stderr())
    logger.setLevel(logging.INFO)
    logger.propagate = False
    return logging.getLogger("offdag.cli")


def print_rows(
    rows: Sequence[Mapping[str, Any]], columns: Iterable[str], output: str, empty: str, width: int = 160
) -> None:
    """Rows on stdout, as a table of some columns or as JSON with all; ``empty`` where a table would have no rows."""
    if output == "json":
        click.echo(json.dumps(list(rows), default=str, indent=2))
        return
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = list(columns)
    # Each line begins with the border, so that no text from data can begin a line of its own.
    table = Table()
    for column in listed:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*[Text(_cell(row.get(column))) for column in listed])
    # Most terminals, and what people paste into messages, have 80 columns.
    Console(width=None if sys.stdout.isatty() else width).print(table)


def sparkline(values: Sequence[float | None]) -> str:
    """Numbers as bars of eight heights, in digits where stdout cannot encode them; a point where there is none."""
    bars = "▁▂▃▄▅▆▇█"
    try:
        bars.encode(sys.stdout.encoding or "ascii")
    except UnicodeEncodeError:
        bars = "01234567"
    highest = max((value for value in values if value), default=0)
    return "".join("." if value is None else bars[round(7 * value / highest) if highest else 0] for value in values)


def age(seconds: float | None) -> str:
    """A length of time in one unit."""
    if seconds is None:
        return ""
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"


def no_commands(text: str) -> str:
    """A text of which GitHub takes no line for a workflow command: those begin with :: after spaces, or hold ##[."""
    return re.sub(r"(?m)^(\s*)::", r"\1. ::", text).replace("##[", "## [")


def printable(text: str, keep: str = "") -> str:
    """A text without control and direction characters, which artifacts could use to rewrite a terminal."""
    return "".join(c if c.isprintable() or c in keep else " " for c in text)


def _cell(value: Any) -> str:
    text = "" if value is None else f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)
    # A cell may have several lines: they stay in their column.
    return printable(text, keep="\n")
