"""The verbs and their flags, and the one map from errors to exit codes. No logic lives here."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import update_wrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offdag import __version__
from offdag.errors import ExitCode, OffdagError, UsageError, three_parts
from offdag.settings import Settings, process_environ

if TYPE_CHECKING:
    from offdag.collect import Collection
    from offdag.dbt_project import DbtProject
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
# Older marts are not announced: what they say may be long over.
_STALEST = timedelta(days=1)
_FORMAT = click.option("--format", "output", type=click.Choice(["table", "json"]), default="table", show_default=True)
_PROJECT_DIR = click.option(
    "--project-dir",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    help="Folder of the monitored dbt project.",
)


def _verb(example: str, *names: str) -> Callable[[Callable[..., int]], click.Command]:
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


def _say(text: str) -> None:
    """Talk goes to stderr, so that stdout holds data alone."""
    click.echo(text, err=True)


def _open_history(settings: Settings) -> History:
    from offdag.history.history import History
    from offdag.observe import read_observed_tables

    tables = read_observed_tables(settings.monitor_project_dir)
    return History(settings.history, {table.name: table.schema for table in tables})


def _say_unreadable(collection: Collection) -> None:
    for row in collection.unreadable:
        what = f"{row['kind']} is {row['verdict']}: it {row['reason']}"
        _say(three_parts(what, row["path"], f"dbt build, then: offdag collect {row['path']}"))


def _hint_environment(verdicts: list[dict[str, Any]]) -> None:
    if any(row["environment"] == "unknown" for row in verdicts):
        _say("the environment is unknown, and incidents exist only for known ones: give --environment prod next time")


def _print_rows(rows: list[dict[str, Any]], columns: list[str], output: str, empty: str) -> None:
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


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="offdag")
def cli() -> None:
    """The monitor for dbt builds that stays out of their DAG."""


@_verb(
    "offdag run -e prod --project-dir inventory_project -- dbt build --target prod",
    "history",
    "project",
    "environment",
    "monitor_project_dir",
    "lock_timeout",
)
@_PROJECT_DIR
@click.option("--no-observe", is_flag=True, help="Do not copy the observed tables.")
@click.argument("command", nargs=-1, required=True)
def run(settings: Settings, project_dir: Path, no_observe: bool, command: tuple[str, ...]) -> int:
    """Run dbt, then collect whatever it left. Ends with dbt's own exit code."""
    from offdag.run import run_dbt

    ended = run_dbt(settings, project_dir, command)
    try:
        from offdag.run import collect_run

        history = _open_history(settings)
        collection = collect_run(history, settings, ended)
        found = ", ".join(f"{row['kind']} {row['verdict']}" for row in collection.verdicts)
        _hint_environment(collection.verdicts)
        _say_unreadable(collection)
        if ended.exit_code and not collection.left:
            what = f"dbt ended with {ended.signal_name or ended.exit_code} and left no results"
            _say(three_parts(what, str(ended.target_path), "dbt parse"))
        observed: list[str] = []
        if ended.was_build and collection.invocations and not no_observe:
            environment = str(collection.invocations[-1]["environment"])
            observed = _observe(
                settings, history, ended.project, ended.target_path, environment, ended.target, ended.job_id
            )
        _say(
            f"offdag: dbt ended with {ended.exit_code}; artifacts: {found or 'none'}"
            + (f"; observed: {', '.join(observed)}" if observed else "")
            + f"; history: {settings.history}"
        )
    except OffdagError as error:
        # The build's result counts, not the monitor's trouble.
        _say(f"offdag could not collect this run\n{error}")
    except Exception:
        import traceback

        _say(f"offdag could not collect this run, by a fault of its own\n{traceback.format_exc()}")
    return ended.exit_code


def _observe(
    settings: Settings,
    history: History,
    project: DbtProject,
    target_path: Path,
    environment: str,
    target: str | None,
    job_id: str | None,
) -> list[str]:
    from offdag.observe import observe as observe_tables
    from offdag.observe import read_observed_tables

    verdicts = observe_tables(
        history,
        read_observed_tables(settings.monitor_project_dir),
        project,
        target_path,
        environment,
        target,
        settings.lock_timeout,
        job_id,
        _say,
    )
    for row in verdicts:
        if row["verdict"] == "unreadable":
            what = f"{row['path']} was not observed: {row['reason']}"
            _say(three_parts(what, str(project.folder), f"offdag observe --project-dir {project.folder}"))
    return [f"{row['path']} {row['verdict']} ({row['reason']})" for row in verdicts]


@_verb(
    "offdag collect -e prod inventory_project/target",
    "history",
    "project",
    "environment",
    "monitor_project_dir",
)
@click.option("--recursive", "-r", is_flag=True, help="Also look in the folders below each path.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
def collect(settings: Settings, recursive: bool, paths: tuple[Path, ...]) -> int:
    """Keep the artifacts that dbt left at PATHS: target folders, files, or (with --recursive) trees of them."""
    from offdag.collect import Context, find_folders
    from offdag.collect import collect as collect_artifacts

    groups = find_folders(paths, recursive)
    history = _open_history(settings)
    context = Context(settings.project, settings.environment, settings.job_id)
    with click.progressbar(length=len(groups), label="collecting", file=sys.stderr, hidden=len(groups) < 2) as bar:
        collection = collect_artifacts(history, groups, context, on_group=lambda: bar.update(1))
    _say_unreadable(collection)
    if not collection.verdicts:
        raise UsageError(
            "there are no artifacts",
            ", ".join(map(str, paths)),
            "run dbt first, or look below with: offdag collect --recursive",
        )
    _hint_environment(collection.verdicts)
    counts = ", ".join(f"{count} {verdict}" for verdict, count in sorted(collection.counts.items()))
    _say(f"collected {len(collection.verdicts)} artifacts ({counts}) into {settings.history}")
    return ExitCode.UNREADABLE if collection.unreadable else ExitCode.OK


@_verb(
    "offdag observe -e prod --project-dir inventory_project --target prod",
    "history",
    "environment",
    "monitor_project_dir",
    "lock_timeout",
)
@_PROJECT_DIR
@click.option("--target", help="Target of the dbt profile. Default: the profile's own.")
def observe(settings: Settings, project_dir: Path, target: str | None) -> int:
    """Copy the tables of seeds/observed_tables.csv into the history; `run` does it after each build."""
    if not (project_dir / "dbt_project.yml").is_file():
        raise UsageError("there is no dbt project", str(project_dir), "offdag observe --project-dir inventory_project")
    from offdag.dbt_project import DbtProject

    environment = settings.environment or target or "unknown"
    project = DbtProject(project_dir, settings.environ)
    lines = _observe(
        settings, _open_history(settings), project, project.target_path(), environment, target, settings.job_id
    )
    for line in lines:
        _say(line)
    _say(f"observed {len(lines)} tables into {settings.history}")
    return ExitCode.UNREADABLE if any(" unreadable (" in line for line in lines) else ExitCode.OK


@_verb("offdag monitor", "history", "monitor_project_dir", "monitor_database", "lock_timeout")
@click.option("--as-of", help="Compute for this UTC time. [OFFDAG_AS_OF; now]")
@click.option(
    "--all-tests", is_flag=True, help="Run every test of the monitor project, not only those of a scheduled run."
)
@click.option(
    "--fail-on",
    type=click.Choice(["incidents", "none"]),
    default="none",
    show_default=True,
    help="Exit with 1 on open incidents.",
)
def monitor(settings: Settings, as_of: str | None, all_tests: bool, fail_on: str) -> int:
    """Build the monitor project: what is broken, since when, and what has to be said."""
    from offdag.marts import Marts
    from offdag.monitor import build_monitor

    if as_of:
        settings = settings.at(as_of)
    computed_for = build_monitor(settings, _open_history(settings), all_tests, _say)
    incidents = Marts(settings.monitor_database, "monitor", settings.lock_timeout, _say).read("fct_incidents")[
        "fct_incidents"
    ]
    open_count = sum(row["incident_status"] == "open" for row in incidents)
    _say(
        f"monitored as of {computed_for:%Y-%m-%d %H:%M:%S} UTC: incidents: {open_count} open, {len(incidents) - open_count} ended"
    )
    return ExitCode.PROBLEMS if fail_on == "incidents" and open_count else ExitCode.OK


@_verb("offdag notify --dry-run", "history", "monitor_project_dir", "monitor_database", "lock_timeout")
@click.option("--dry-run", is_flag=True, help="Print the exact payloads and write nothing.")
def notify(settings: Settings, dry_run: bool) -> int:
    """Say in Slack what the monitor found and nobody was told yet; print it where Slack is not set up."""
    from offdag.marts import Marts
    from offdag.notify.delivery import Delivery, sink_for

    due = Marts(settings.monitor_database, "notify", settings.lock_timeout, _say).read(
        "fct_notifications_due", "dim_monitor"
    )
    as_of = due["dim_monitor"][0]["as_of"]
    if not dry_run and settings.now - as_of > _STALEST:
        raise UsageError(
            f"the marts are as of {as_of:%Y-%m-%d %H:%M} UTC: too old to be told", "dim_monitor", "offdag monitor"
        )
    sink = sink_for(settings, click.echo)
    delivery = Delivery(_open_history(settings), sink, _say)
    if dry_run:
        payloads = delivery.preview(due["fct_notifications_due"])
        click.echo(json.dumps(payloads, indent=2, ensure_ascii=False))
        _say(f"{len(payloads)} messages would be sent to {sink.name}; nothing was written")
        return ExitCode.OK
    outcome = delivery.deliver(due["fct_notifications_due"])
    for failure in outcome.failures:
        _say(str(failure))
    _say(
        f"notified {sink.name}: messages delivered: {outcome.messages} (notifications: {outcome.notifications}), "
        f"refused: {len(outcome.failures)}, left to another sender or a later run: {outcome.pending}"
    )
    return ExitCode.UNDELIVERED if outcome.failures or outcome.unknown else ExitCode.OK


@_verb("offdag report && open .offdag/report.html", "monitor_database", "lock_timeout")
@click.option(
    "--out", "report_path", type=click.Path(), help="HTML file to write. [OFFDAG_REPORT; .offdag/report.html]"
)
def report(settings: Settings, report_path: str | None) -> int:
    """Draw the marts as one HTML file, with the same data as JSON beside it."""
    from offdag.marts import Marts
    from offdag.report.page import REPORT_MARTS, write_report

    path = Path(report_path) if report_path else settings.report_path
    rows = Marts(settings.monitor_database, "report", settings.lock_timeout, _say).read(*REPORT_MARTS)
    data = write_report(rows, path, settings.now)
    _say(f"drew {sum(map(len, rows.values()))} rows into {path} and {data}")
    return ExitCode.OK


@_verb("offdag incidents --all", "monitor_database", "lock_timeout")
@click.option("--all", "show_all", is_flag=True, help="Also those that ended.")
@click.option(
    "--fail-on",
    type=click.Choice(["incidents", "none"]),
    default="none",
    show_default=True,
    help="Exit with 1 if any is open.",
)
@_FORMAT
def incidents(settings: Settings, show_all: bool, fail_on: str, output: str) -> int:
    """Show what is open, as the last monitor run found it."""
    from offdag.marts import Marts

    marts = Marts(settings.monitor_database, "incidents", settings.lock_timeout, _say).read(
        "fct_incidents", "dim_monitor"
    )
    rows, as_of = marts["fct_incidents"], marts["dim_monitor"][0]["as_of"]
    open_rows = [row for row in rows if row["incident_status"] == "open"]
    shown = sorted(rows if show_all else open_rows, key=lambda row: row["started_at"], reverse=True)
    columns = ["incident_status", "severity", "project", "environment", "title", "detail", "started_at", "ended_at"]
    _print_rows(shown, columns, output, "no incidents are open")
    _say(f"incidents: {len(open_rows)} open, {len(rows) - len(open_rows)} ended, as of {as_of:%Y-%m-%d %H:%M:%S} UTC")
    return ExitCode.PROBLEMS if fail_on == "incidents" and open_rows else ExitCode.OK


@_verb("offdag verdicts --format json", "history", "monitor_project_dir")
@click.option(
    "--limit", type=click.IntRange(1), default=25, show_default=True, help="Show this many, the newest first."
)
@_FORMAT
def verdicts(settings: Settings, limit: int, output: str) -> int:
    """Show what became of each artifact that was found."""
    rows = _open_history(settings).read("artifact_verdicts").sort_by([("collected_at", "descending")]).to_pylist()
    _print_rows(
        rows[:limit],
        ["collected_at", "project", "environment", "path", "kind", "verdict", "reason"],
        output,
        "nothing was collected yet",
    )
    _say(f"{min(limit, len(rows))} of {len(rows)} verdicts shown")
    return ExitCode.OK


def main() -> None:
    """Run a verb; the one place where errors become exit codes. What is not expected keeps its traceback."""
    try:
        code = cli(standalone_mode=False)
    except click.exceptions.Exit as ended:
        code = ended.exit_code
    except click.Abort:
        code = 130
    except click.ClickException as error:
        error.show()
        code = ExitCode.USAGE
    except OffdagError as error:
        _say(str(error))
        code = error.exit_code
    sys.exit(int(code or 0))
