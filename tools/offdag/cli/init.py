"""Verbs for who begins: init, demo."""

from __future__ import annotations

import logging
import shlex
from dataclasses import replace
from pathlib import Path

import click

from offdag.cli.output import printable
from offdag.cli.verb import PROJECT_DIR, verb
from offdag.errors import ExitCode
from offdag.settings import Settings

_log = logging.getLogger(__name__)


@verb(
    "offdag init --environment prod",
    "history",
    "project",
    "environment",
    "config_dir",
    "monitor_project_dir",
    "lock_timeout",
)
@PROJECT_DIR
@click.option("--dry-run", is_flag=True, help="Show what would be written, and write nothing.")
@click.argument("paths", nargs=-1)
def init(settings: Settings, project_dir: Path, dry_run: bool, paths: tuple[str, ...]) -> int:
    """Write the folder offdag/: routes, cadences and thresholds, proposed from the history and the artifacts in target/ and at PATHS.

    A file that is there already is kept; what it lacks is shown. The history is only read.
    """
    from offdag.config_folder import DEFAULT, ConfigFolder
    from offdag.dbt.command import DbtInvocation
    from offdag.dbt.project import checked_project
    from offdag.init.folder import init_files, write_files
    from offdag.init.proposals import proposals

    checked_project(project_dir, settings.environ, "offdag init --project-dir path/to/project")
    target = DbtInvocation.parse((), project_dir, settings.environ).target_path
    places = [*([str(target)] if target.is_dir() else []), *paths]
    folder = settings.config.own or DEFAULT
    if not folder.is_dir():
        settings = replace(settings, config=ConfigFolder(None, settings.monitor_project_dir))
    found = proposals(settings, places)
    files = init_files(folder, settings.monitor_project_dir, found)
    if not dry_run:
        write_files(files)
    for file in files:
        click.echo(f"{'kept   ' if file.is_kept else 'new    '}  {printable(str(file.path))}")
        for line in file.lacking if file.is_kept else file.proposed:
            click.echo(f"  {'lacks' if file.is_kept else 'with '}  {printable(line)}")
    owners = [row for row in found.routes if not row.channel]
    if owners:
        names = ", ".join(f"{printable(row.owner)} ({row.node_count} nodes)" for row in owners[:5])
        more = f" and {len(owners) - 5} more" if len(owners) > 5 else ""
        click.echo(f"owners without a route: {names}{more}: a line in alert_routes.csv sends their alerts to a channel")
    written = sum(not file.is_kept for file in files)
    kept = len(files) - written
    _log.info(
        "init: %d files %s, %d kept; found: %s",
        written,
        "would be written" if dry_run else "written",
        kept,
        found.coverage,
    )
    named = [row.var_value for row in found.settings if row.var_name == "alerting_environments"]
    built = [row.environment for row in found.cadences]
    environment = settings.environment or next(iter([*named, *built]), "prod")
    click.echo(f"next:  offdag job -e {shlex.quote(printable(environment))} -- dbt build")
    return ExitCode.OK


@verb("offdag demo")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=".offdag/demo",
    show_default=True,
    help="Folder of the demo; an earlier demo there is removed.",
)
def demo(settings: Settings, home: Path) -> int:
    """Four weeks of a plant shop: real dbt builds, failures, the messages, the report. Nothing leaves this machine."""
    from offdag.extras import require
    from offdag.greenery.demo import run_demo

    require("dbt.cli", "dbt.adapters.duckdb", "altair")
    run_demo(home, settings.environ)
    return ExitCode.OK
