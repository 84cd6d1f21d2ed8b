"""Verbs that bring artifacts and tables into the history: run, job, collect, observe."""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from offdag.cli.verb import PROJECT_DIR, TARGET, verb
from offdag.errors import ExitCode, UsageError
from offdag.extras import hide
from offdag.settings import Settings

if TYPE_CHECKING:
    from offdag.collect.collection import Collection
    from offdag.collect.places import ArtifactFile
    from offdag.history.history import History

_log = logging.getLogger(__name__)


@verb(
    "offdag run -e prod --project-dir inventory_project -- dbt build --target prod",
    "history",
    "project",
    "environment",
    "config_dir",
    "monitor_project_dir",
    "lock_timeout",
)
@PROJECT_DIR
@click.option("--no-observe", is_flag=True, help="Do not copy the observed tables.")
@click.argument("command", nargs=-1, required=True)
def run(settings: Settings, project_dir: Path, no_observe: bool, command: tuple[str, ...]) -> int:
    """Run dbt, then collect what it left. Ends with dbt's own exit code."""
    from offdag.collect.run import run_and_collect
    from offdag.dbt.signals import SignalRelay

    with SignalRelay(until_exit=True) as relay:
        return run_and_collect(settings, project_dir, command, relay, observes=not no_observe).exit_code


@verb(
    "offdag job -e prod --project-dir inventory_project -- dbt build --target prod",
    "history",
    "project",
    "environment",
    "config_dir",
    "monitor_project_dir",
    "monitor_database",
    "lock_timeout",
)
@PROJECT_DIR
@click.option("--no-freshness", is_flag=True, help="Do not run dbt source freshness before the command.")
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=600,
    show_default=True,
    help="Seconds to wait for another job here; after that the exit code is 75.",
)
@click.argument("command", nargs=-1, required=True)
def job(settings: Settings, project_dir: Path, no_freshness: bool, wait: float, command: tuple[str, ...]) -> int:
    """Check source freshness, run dbt, then monitor, notify and report, also after a failed build. Ends with dbt's own exit code."""
    from offdag.job import Job, run_job

    return run_job(settings, Job(project_dir, command, not no_freshness, wait), click.echo)


@verb("offdag collect -e prod inventory_project/target", "history", "project", "environment")
@click.option("--recursive", "-r", is_flag=True, help="Also search the folders below each path.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="Most processes, where there are hundreds of files. [one per core]",
)
@click.argument("paths", nargs=-1, required=True)
def collect(settings: Settings, recursive: bool, processes: int | None, paths: tuple[str, ...]) -> int:
    """Keep the artifacts at PATHS: target folders, files, or (with --recursive) trees and object-store prefixes of any layout.

    A path dbt-platform://ACCOUNT/JOB reads the runs of a job of dbt platform that are not in the history yet.
    """
    from offdag.collect.dbt_platform import SCHEME

    hide("pandas")
    jobs = [path for path in paths if path.startswith(SCHEME)]
    ended = [_collect_platform(settings, job) for job in jobs]
    rest = tuple(path for path in paths if path not in jobs)
    if rest:
        ended.append(_collect_paths(settings, rest, recursive, processes))
    return max(ended)


@verb("offdag import-tables -e prod exported", "history", "project", "environment")
@click.argument("folder", type=click.Path(path_type=Path))
def import_tables(settings: Settings, folder: Path) -> int:
    """Keep the runs that Elementary or dbt_artifacts wrote into tables, from Parquet or CSV files of these in FOLDER.

    Runs that the history has already, from their artifacts, stay as they are. The environment is the run's target where none is given.
    """
    from offdag.collect.package_tables import IN_HISTORY, write_artifacts
    from offdag.history.history import History

    with tempfile.TemporaryDirectory(prefix="offdag-import-") as place:
        files, left_out, missing = write_artifacts(folder, History(settings.history), Path(place))
        counts, is_refused = _collect_files(settings, files)
    _log.info("imported %d runs of dbt (%s) into %s", len(files), counts or "none", settings.history)
    for reason, results in sorted(left_out.items()):
        _log.info("results left out: %d %s", results, reason)
    if missing:
        _log.info("there is no file of %s", ", ".join(missing))
    is_nothing_read = not files and left_out.keys() - {IN_HISTORY}
    return ExitCode.UNREADABLE if is_refused or is_nothing_read else ExitCode.OK


def _collect_platform(settings: Settings, url: str) -> int:
    """Collect the new runs of a job of dbt platform."""
    from offdag.collect.platform_runs import collect_job
    from offdag.history.history import History

    history = History(settings.history)
    collection, runs = collect_job(history, settings, url)
    counts = _concluded(history, collection) or "none"
    _log.info("collected %d new runs of %s: artifacts: %s; into %s", runs, url, counts, settings.history)
    return ExitCode.UNREADABLE if collection.refused else ExitCode.OK


def _collect_paths(settings: Settings, paths: tuple[str, ...], recursive: bool, processes: int | None) -> int:
    """Collect the artifacts at some paths."""
    from offdag.collect.places import find_artifacts

    files = find_artifacts(paths, recursive)
    if not files:
        raise UsageError("there are no artifacts", ", ".join(paths), f"offdag collect --recursive {paths[0]}")
    counts, is_refused = _collect_files(settings, files, processes)
    _log.info("collected %d artifacts (%s) into %s", len(files), counts, settings.history)
    return ExitCode.UNREADABLE if is_refused else ExitCode.OK


def _collect_files(settings: Settings, files: list[ArtifactFile], processes: int | None = None) -> tuple[str, bool]:
    """Collect some files; gives the counts of their verdicts, and whether one was refused."""
    from offdag.collect.collection import collect as collect_artifacts
    from offdag.collect.context import Context
    from offdag.dbt.redaction import secret_values
    from offdag.history.history import History

    history = History(settings.history)
    secrets = secret_values(settings.environ, *settings.secrets)
    is_given = settings.project is not None
    context = Context(
        settings.project, settings.environment, settings.job_id, secrets=secrets, is_project_given=is_given
    )
    with click.progressbar(length=len(files), label="collecting", file=sys.stderr, hidden=len(files) < 5) as bar:
        collection = collect_artifacts(history, files, context, bar.update, processes)
    return _concluded(history, collection), bool(collection.refused)


def _concluded(history: History, collection: Collection) -> str:
    """Merge small files, warn of what is wrong, and count the verdicts."""
    from offdag.collect.refusal import refusal_text
    from offdag.collect.run import NO_ENVIRONMENT
    from offdag.history.compaction import compact_in_passing

    compact_in_passing(history, collection.run_dates)
    for verdict in collection.refused:
        _log.warning("%s", refusal_text(verdict))
    if collection.lacks_environment:
        _log.warning(NO_ENVIRONMENT)
    return ", ".join(f"{count} {verdict}" for verdict, count in sorted(collection.counts.items()))


@verb(
    "offdag observe -e prod --project-dir inventory_project --target prod",
    "history",
    "environment",
    "config_dir",
    "monitor_project_dir",
    "lock_timeout",
)
@PROJECT_DIR
@TARGET
@click.argument("dbt", nargs=-1)
def observe(settings: Settings, project_dir: Path, target: str | None, dbt: tuple[str, ...]) -> int:
    """Copy the tables of observed_tables.csv into the history; `run` does it after each build.

    DBT is your dbt, such as `uv run dbt`, for databases that offdag cannot open itself. [dbt]
    """
    from offdag.artifacts.document import Verdict
    from offdag.collect.dbt_show import DbtShow
    from offdag.collect.observe import Observer, log_observed
    from offdag.collect.observed_tables import read_observed_tables
    from offdag.dbt.command import DbtInvocation
    from offdag.dbt.project import checked_project
    from offdag.dbt.redaction import secret_values
    from offdag.environment import resolve_environment
    from offdag.history.history import History

    checked_project(project_dir, settings.environ, "offdag observe --project-dir inventory_project")
    tables = read_observed_tables(settings.config)
    command = [*(dbt or ("dbt",)), "show", *(["--target", target] if target else [])]
    invocation = DbtInvocation.parse(command, project_dir, settings.environ)
    environment = resolve_environment(settings.environment, target=invocation.target_of(command))
    wait, secrets = settings.wait_as("observe"), secret_values(settings.environ, *settings.secrets)
    show = DbtShow(command, project_dir, invocation.target_path, settings.environ, secrets)
    verdicts = Observer(History(settings.history), invocation, environment, wait, show, settings.job_id).observe(tables)
    for line in log_observed(verdicts, invocation):
        _log.info("%s", line)
    _log.info("observed %d tables into %s", len(verdicts), settings.history)
    is_incomplete = any(row["verdict"] == Verdict.UNREADABLE.value for row in verdicts)
    return ExitCode.UNREADABLE if is_incomplete else ExitCode.OK
