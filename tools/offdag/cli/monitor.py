"""Verbs that read the monitor: monitor, incidents, report."""

from __future__ import annotations

from pathlib import Path

import click

from offdag.cli.verb import FORMAT, compact_in_passing, open_history, print_rows, say, verb
from offdag.errors import ExitCode, OffdagError
from offdag.settings import Settings


@verb("offdag monitor", "history", "monitor_project_dir", "monitor_database", "lock_timeout")
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
    from offdag.monitor.build import build_monitor
    from offdag.monitor.marts import Marts
    from offdag.notify.heartbeat import beat

    if as_of:
        settings = settings.at(as_of)
    history = open_history(settings)
    compact_in_passing(history)
    try:
        computed_for = build_monitor(settings, history, all_tests, say)
        marts = Marts(settings.monitor_database, "monitor", settings.lock_timeout, say)
        incidents = marts.read("fct_incidents")["fct_incidents"]
    except OffdagError as error:
        beat(settings.heartbeat, False, error.what, say)
        raise
    open_count = sum(row["incident_status"] == "open" for row in incidents)
    ended_count = len(incidents) - open_count
    line = f"monitored as of {computed_for:%Y-%m-%d %H:%M:%S} UTC: incidents: {open_count} open, {ended_count} ended"
    beat(settings.heartbeat, True, line, say)
    say(line)
    return ExitCode.PROBLEMS if fail_on == "incidents" and open_count else ExitCode.OK


@verb("offdag incidents --all", "monitor_database", "lock_timeout")
@click.option("--all", "show_all", is_flag=True, help="Also those that ended.")
@click.option(
    "--fail-on",
    type=click.Choice(["incidents", "none"]),
    default="none",
    show_default=True,
    help="Exit with 1 if any is open.",
)
@FORMAT
def incidents(settings: Settings, show_all: bool, fail_on: str, output: str) -> int:
    """Show what is open, as the last monitor run found it."""
    from offdag.monitor.marts import Marts

    marts = Marts(settings.monitor_database, "incidents", settings.lock_timeout, say).read(
        "fct_incidents", "dim_monitor"
    )
    rows, as_of = marts["fct_incidents"], marts["dim_monitor"][0]["as_of"]
    open_rows = [row for row in rows if row["incident_status"] == "open"]
    shown = sorted(rows if show_all else open_rows, key=lambda row: row["started_at"], reverse=True)
    for row in shown:
        # As much of it as `offdag mute` asks for.
        row["key"] = row["signal_key"][:8]
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
    print_rows(shown, columns, output, "no incidents are open")
    say(f"incidents: {len(open_rows)} open, {len(rows) - len(open_rows)} ended, as of {as_of:%Y-%m-%d %H:%M:%S} UTC")
    return ExitCode.PROBLEMS if fail_on == "incidents" and open_rows else ExitCode.OK


@verb("offdag report && open .offdag/report.html", "monitor_database", "lock_timeout")
@click.option(
    "--out", "report_path", type=click.Path(), help="HTML file to write. [OFFDAG_REPORT; .offdag/report.html]"
)
def report(settings: Settings, report_path: str | None) -> int:
    """Draw the marts as one HTML file, with the same data as JSON beside it."""
    from offdag.monitor.marts import Marts
    from offdag.report.page import REPORT_MARTS, write_report

    path = Path(report_path) if report_path else settings.report_path
    rows = Marts(settings.monitor_database, "report", settings.lock_timeout, say).read(*REPORT_MARTS)
    data = write_report(rows, path, settings.now, settings.monitor_database.parent)
    say(f"drew {sum(map(len, rows.values()))} rows into {path} and {data}")
    return ExitCode.OK
