"""Verbs that build and read the monitor: monitor, incidents, report."""

from __future__ import annotations

import logging
from pathlib import Path

import click
import msgspec

from offdag.cli.output import FORMAT, print_rows
from offdag.cli.verb import verb
from offdag.errors import ExitCode
from offdag.settings import Settings

_log = logging.getLogger(__name__)

_FAIL_ON = click.option(
    "--fail-on",
    type=click.Choice(["incidents", "none"]),
    default="none",
    show_default=True,
    help="Exit with 1 if an incident is open.",
)


@verb("offdag monitor", "history", "monitor_project_dir", "monitor_database", "lock_timeout")
@click.option("--as-of", help="Compute for this UTC time. [OFFDAG_AS_OF; now]")
@click.option(
    "--all-tests", is_flag=True, help="Run every test of the monitor project, not only those of a scheduled run."
)
@click.option("--dbt", "by_dbt", is_flag=True, help="Run dbt also where only the history changed since the last run.")
@_FAIL_ON
def monitor(settings: Settings, as_of: str | None, all_tests: bool, by_dbt: bool, fail_on: str) -> int:
    """Build the monitor project: what is broken, since when, and which notifications are due."""
    from offdag.job import run_monitor
    from offdag.monitor.build import RunOptions

    open_count = run_monitor(settings.at(as_of) if as_of else settings, RunOptions(all_tests, by_dbt))
    return ExitCode.PROBLEMS if fail_on == "incidents" and open_count else ExitCode.OK


@verb("offdag incidents --all", "monitor_database", "lock_timeout")
@click.option("--all", "show_all", is_flag=True, help="Also ended incidents.")
@_FAIL_ON
@FORMAT
def incidents(settings: Settings, show_all: bool, fail_on: str, output: str) -> int:
    """Show the open incidents of the last monitor run."""
    from offdag.monitor.coverage import Coverage
    from offdag.monitor.marts import open_marts
    from offdag.monitor.rows import Incident

    with open_marts(settings.monitor_database, settings.wait_as("incidents")) as marts:
        rows, as_of, coverage = marts.rows(Incident), marts.monitor_run().as_of, Coverage.of(marts)
    open_rows = [row for row in rows if row.is_open]
    shown = sorted(rows if show_all else open_rows, key=lambda row: row.started_at, reverse=True)
    # The key is as long as `offdag mute` needs it.
    listed = [{"key": row.signal_key[:8], **msgspec.structs.asdict(row)} for row in shown]
    columns = [
        "key",
        "incident_status",
        "severity",
        "project",
        "environment",
        "title",
        "detail",
        "started_at",
        "ended_at",
    ]
    print_rows(listed, columns, output, "no incidents are open")
    _log.info(
        "incidents: %d open, %d ended, as of %s UTC; %s",
        len(open_rows),
        len(rows) - len(open_rows),
        f"{as_of:%Y-%m-%d %H:%M:%S}",
        coverage,
    )
    return ExitCode.PROBLEMS if fail_on == "incidents" and open_rows else ExitCode.OK


@verb("offdag report --open", "monitor_database", "lock_timeout")
@click.option("--out", help="HTML file to write: a path, or a URL such as s3://. [OFFDAG_REPORT; .offdag/report.html]")
@click.option("--open", "is_opened", is_flag=True, help="Open it in the browser.")
def report(settings: Settings, out: str | None, is_opened: bool) -> int:
    """Render the marts as one HTML file, with the same data as JSON next to it."""
    import webbrowser

    from offdag.job import run_report

    settings = settings.reporting_to(out) if out else settings
    run_report(settings)
    if is_opened:
        place = settings.report_path
        webbrowser.open(place if "://" in place else Path(place).absolute().as_uri())
    return ExitCode.OK
