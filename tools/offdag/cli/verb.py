"""What all verbs share: common flags, settings, the history, and how rows and talk are shown."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from datetime import date, datetime
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offdag import __version__
from offdag.errors import HistoryError
from offdag.settings import Settings, process_environ

if TYPE_CHECKING:
    from offdag.history.history import History

_COMMON = {
    "history": click.option("--history", help="Folder or URL of the history. [OFFDAG_HISTORY; .offdag/history]"),
    "project": click.option("--project", help="dbt project to record. [OFFDAG_PROJECT; found in the artifacts]"),
    "environment": click.option(
        "--environment",
        "-e",
        help="Environment to record, such as prod. [OFFDAG_ENVIRONMENT; the dbt target, where told]",
    ),
    "monitor_project_dir": click.option(
        "--monitor-project-dir", help="The dbt project with the rules. [OFFDAG_MONITOR_PROJECT_DIR; monitor_project]"
    ),
    "monitor_database": click.option(
        "--monitor-database", help="Its DuckDB file. [OFFDAG_MONITOR_DATABASE; .offdag/monitor.duckdb]"
    ),
    "lock_timeout": click.option(
        "--lock-timeout", type=float, help="Seconds to wait for a locked database. [OFFDAG_LOCK_TIMEOUT; 300]"
    ),
}
FORMAT = click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
PROJECT_DIR = click.option(
    "--project-dir",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    help="Folder of the monitored dbt project.",
)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="offdag")
def cli() -> None:
    """The monitor for dbt builds that stays out of their DAG."""


def verb(example: str, *names: str) -> Callable[[Callable[..., int]], click.Command]:
    """A command with the common flags named, whose function gets Settings and its own flags and gives an exit code."""

    def decorate(function: Callable[..., int]) -> click.Command:
        own = {p.name for p in getattr(function, "__click_params__", [])}

        def call(**flags: Any) -> int:
            settings = Settings.load({k: v for k, v in flags.items() if k not in own}, process_environ())
            return function(settings, **{k: v for k, v in flags.items() if k in own})

        wrapped = update_wrapper(call, function)
        for name in reversed(names):
            wrapped = _COMMON[name](wrapped)
        return cli.command(epilog=f"Example: {example}")(wrapped)

    return decorate


def say(text: str) -> None:
    """Talk goes to stderr, so that stdout holds data alone."""
    click.echo(text, err=True)


def open_history(settings: Settings) -> History:
    """The history, with the tables that the monitor project's seed asks to observe."""
    from offdag.collect.observe import read_observed_tables
    from offdag.history.history import History

    tables = read_observed_tables(settings.monitor_project_dir)
    return History(settings.history, {table.name: table.schema for table in tables})


def compact_in_passing(history: History, touched: Iterable[date] = ()) -> None:
    """Merge the small files of closed days, at most once an hour. The verb's own work is safe, whatever becomes of this."""
    from offdag.clock import utc_now
    from offdag.history.compaction import compact_when_due

    try:
        done = compact_when_due(history, utc_now(), touched)
    except HistoryError as error:
        say(str(error))
        return
    if done.written:
        say(f"merged {done.merged} files of closed days into {done.written}")


def print_rows(rows: list[dict[str, Any]], columns: list[str], output: str, empty: str) -> None:
    """Rows as a table or as JSON on stdout."""
    if output == "json":
        click.echo(json.dumps(rows, default=str, indent=2))
        return
    if not rows:
        click.echo(empty)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*[column.replace("_", " ") for column in columns])
    for row in rows:
        table.add_row(*[Text(_cell(row.get(column))) for column in columns])
    Console(width=None if sys.stdout.isatty() else 160).print(table)


def _cell(value: Any) -> str:
    """A value for the terminal: control characters of artifacts never reach it."""
    text = "" if value is None else f"{value:%Y-%m-%d %H:%M:%S}" if isinstance(value, datetime) else str(value)
    return "".join(c if c.isprintable() else " " for c in text)
