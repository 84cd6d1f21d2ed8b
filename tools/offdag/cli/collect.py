"""Verbs that bring artifacts and tables into the history: run, collect, observe."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offdag.cli.verb import PROJECT_DIR, compact_in_passing, open_history, say, verb
from offdag.errors import ExitCode, OffdagError, UsageError, three_parts
from offdag.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Iterable

    from offdag.dbt.process import Ended
    from offdag.dbt.project import DbtProject
    from offdag.history.history import History

_NO_ENVIRONMENT = (
    "the environment is unknown, and incidents exist only for known ones: give --environment prod next time"
)


def _say_refused(verdicts: Iterable[dict[str, Any]]) -> None:
    for row in verdicts:
        what = f"{row['kind']} is {row['verdict']}: it {row['reason']}"
        say(three_parts(what, row["path"], f"dbt build, then: offdag collect {row['path']}"))


@verb(
    "offdag run -e prod --project-dir inventory_project -- dbt build --target prod",
    "history",
    "project",
    "environment",
    "monitor_project_dir",
    "lock_timeout",
)
@PROJECT_DIR
@click.option("--no-observe", is_flag=True, help="Do not copy the observed tables.")
@click.argument("command", nargs=-1, required=True)
def run(settings: Settings, project_dir: Path, no_observe: bool, command: tuple[str, ...]) -> int:
    """Run dbt, then collect whatever it left. Ends with dbt's own exit code."""
    from offdag.dbt.process import run_dbt

    ended = run_dbt(settings, project_dir, command)
    collect_ended(settings, ended, observes=not no_observe)
    return ended.exit_code


def collect_ended(settings: Settings, ended: Ended, observes: bool) -> None:
    """Collect what a dbt command left, and say so; no trouble of this changes how the command ended."""
    try:
        from offdag.collect.context import UNKNOWN
        from offdag.dbt.process import collect_run

        history = open_history(settings)
        collected = collect_run(history, settings, ended)
        found = ", ".join(f"{judged.verdict['kind']} {judged.verdict['verdict']}" for judged in collected.judged)
        if collected.invocation and collected.invocation["environment"] == UNKNOWN:
            say(_NO_ENVIRONMENT)
        _say_refused(judged.verdict for judged in collected.judged if judged.is_refused)
        if ended.exit_code and not collected.left:
            what = f"dbt ended with {ended.signal_name or ended.exit_code} and left no results"
            say(three_parts(what, str(ended.target_path), "dbt parse"))
        observed: list[str] = []
        if ended.was_build and collected.invocation and observes:
            environment = str(collected.invocation["environment"])
            observed = _observe(
                settings, history, ended.project, ended.target_path, environment, ended.target, ended.job_id
            )
        compact_in_passing(history)
        say(
            f"offdag: dbt ended with {ended.exit_code}; artifacts: {found or 'none'}"
            + (f"; observed: {', '.join(observed)}" if observed else "")
            + f"; history: {settings.history}"
        )
    except OffdagError as error:
        # The build's result counts, not the monitor's trouble.
        say(f"offdag could not collect this run\n{error}")
    except Exception:
        import traceback

        say(f"offdag could not collect this run, by a fault of its own\n{traceback.format_exc()}")


def _observe(
    settings: Settings,
    history: History,
    project: DbtProject,
    target_path: Path,
    environment: str,
    target: str | None,
    job_id: str | None,
) -> list[str]:
    from offdag.collect.observe import observe as observe_tables
    from offdag.collect.observe import read_observed_tables

    verdicts = observe_tables(
        history,
        read_observed_tables(settings.monitor_project_dir),
        project,
        target_path,
        environment,
        target,
        settings.lock_timeout,
        job_id,
        say,
    )
    for row in verdicts:
        if row["verdict"] == "unreadable":
            what = f"{row['path']} was not observed: {row['reason']}"
            say(three_parts(what, str(project.folder), f"offdag observe --project-dir {project.folder}"))
    return [f"{row['path']} {row['verdict']} ({row['reason']})" for row in verdicts]


@verb(
    "offdag collect -e prod inventory_project/target",
    "history",
    "project",
    "environment",
    "monitor_project_dir",
)
@click.option("--recursive", "-r", is_flag=True, help="Also look in the folders below each path.")
@click.option(
    "--processes",
    type=click.IntRange(1),
    help="At most so many at once, where there are hundreds of files. [one per core]",
)
@click.argument("paths", nargs=-1, required=True)
def collect(settings: Settings, recursive: bool, processes: int | None, paths: tuple[str, ...]) -> int:
    """Keep the artifacts at PATHS: target folders, files, or (with --recursive) trees and object-store prefixes of any layout."""
    from offdag.collect.collection import collect as collect_artifacts
    from offdag.collect.context import Context
    from offdag.collect.places import find_artifacts

    files = find_artifacts(paths, recursive)
    if not files:
        raise UsageError(
            "there are no artifacts",
            ", ".join(paths),
            "run dbt first, or look below with: offdag collect --recursive",
        )
    history = open_history(settings)
    context = Context(settings.project, settings.environment, settings.job_id)
    with click.progressbar(length=len(files), label="collecting", file=sys.stderr, hidden=len(files) < 5) as bar:
        collection = collect_artifacts(history, files, context, bar.update, processes)
    compact_in_passing(history, collection.run_dates)
    _say_refused(collection.refused)
    if collection.lacks_environment:
        say(_NO_ENVIRONMENT)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(collection.counts.items()))
    say(f"collected {len(files)} artifacts ({counts}) into {settings.history}")
    return ExitCode.UNREADABLE if collection.refused else ExitCode.OK


@verb(
    "offdag observe -e prod --project-dir inventory_project --target prod",
    "history",
    "environment",
    "monitor_project_dir",
    "lock_timeout",
)
@PROJECT_DIR
@click.option("--target", help="Target of the dbt profile. Default: the profile's own.")
def observe(settings: Settings, project_dir: Path, target: str | None) -> int:
    """Copy the tables of seeds/observed_tables.csv into the history; `run` does it after each build."""
    if not (project_dir / "dbt_project.yml").is_file():
        raise UsageError("there is no dbt project", str(project_dir), "offdag observe --project-dir inventory_project")
    from offdag.dbt.project import DbtProject

    environment = settings.environment or target or "unknown"
    project = DbtProject(project_dir, settings.environ)
    lines = _observe(
        settings, open_history(settings), project, project.target_path(), environment, target, settings.job_id
    )
    for line in lines:
        say(line)
    say(f"observed {len(lines)} tables into {settings.history}")
    return ExitCode.UNREADABLE if any(" unreadable (" in line for line in lines) else ExitCode.OK
