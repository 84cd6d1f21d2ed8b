"""The command group, and what makes a function one of its verbs: the common flags and the settings."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from pathlib import Path
from typing import Any

import click

from offdag import __version__
from offdag.extras import missing_extra
from offdag.settings import Settings, process_environ

_COMMON = {
    "history": click.option("--history", help="Folder or URL of the history. [OFFDAG_HISTORY; .offdag/history]"),
    "project": click.option("--project", help="dbt project to record. [OFFDAG_PROJECT; found in the artifacts]"),
    "environment": click.option(
        "--environment", "-e", help="Environment to record, such as prod. [OFFDAG_ENVIRONMENT; the dbt target]"
    ),
    "monitor_project_dir": click.option(
        "--monitor-project-dir", help="The dbt project with the rules. [OFFDAG_MONITOR_PROJECT_DIR; offdag's own]"
    ),
    "config_dir": click.option(
        "--config-dir", help="Your folder of routes, mutes, cadences and signals. [OFFDAG_CONFIG_DIR; offdag]"
    ),
    "monitor_database": click.option(
        "--monitor-database", help="Its DuckDB file. [OFFDAG_MONITOR_DATABASE; .offdag/monitor.duckdb]"
    ),
    "lock_timeout": click.option(
        "--lock-timeout", type=float, help="Seconds to wait for a locked database. [OFFDAG_LOCK_TIMEOUT; 300]"
    ),
}
PROJECT_DIR = click.option(
    "--project-dir",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    help="Folder of the monitored dbt project.",
)
TARGET = click.option("--target", help="Target of the dbt profile. Default: DBT_TARGET, else the profile's own.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="offdag")
def cli() -> None:
    """The monitor for dbt builds that stays out of their DAG."""


def verb(example: str, *names: str) -> Callable[[Callable[..., int]], click.Command]:
    """A command with the named common flags; its function gets Settings and its other flags, and returns an exit code."""

    def decorate(function: Callable[..., int]) -> click.Command:
        own = {p.name for p in getattr(function, "__click_params__", [])}

        def call(**flags: Any) -> int:
            settings = Settings.load({k: v for k, v in flags.items() if k not in own}, process_environ())
            try:
                return function(settings, **{k: v for k, v in flags.items() if k in own})
            except ModuleNotFoundError as error:
                known = missing_extra(error, function.__name__)
                if known is None:
                    raise
                raise known from error

        wrapped = update_wrapper(call, function)
        for name in reversed(names):
            wrapped = _COMMON[name](wrapped)
        return cli.command(epilog=f"Example: {example}")(wrapped)

    return decorate
