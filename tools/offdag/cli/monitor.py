"""Verbs that build and read the monitor: monitor, incidents, report, publish, serve."""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from offdag.cli.output import FORMAT, age, print_rows, sparkline
from offdag.cli.verb import verb
from offdag.errors import ExitCode
from offdag.extras import hide
from offdag.settings import Settings

if TYPE_CHECKING:
    from offdag.monitor.rows import Incident

_log = logging.getLogger(__name__)

_FAIL_ON = click.option(
    "--fail-on",
    type=click.Choice(["incidents", "none"]),
    default="none",
    show_default=True,
    help="Exit with 1 if an incident is open.",
)


@verb("offdag monitor", "history", "config_dir", "monitor_project_dir", "monitor_database", "lock_timeout")
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
        observations = marts.observations()
        known = {row["incident_id"]: row for row in marts.table("report_incidents")}
    open_rows = [row for row in rows if row.is_open]
    shown = sorted(rows if show_all else open_rows, key=lambda row: row.started_at, reverse=True)
    # The key is as long as `offdag mute` needs it.
    listed = [
        {
            "key": row.signal_key[:8],
            **msgspec.structs.asdict(row),
            "state": row.severity if row.is_open else row.incident_status,
            "what": _what(row, known.get(row.incident_id, {})),
            "likely_cause": known.get(row.incident_id, {}).get("likely_cause"),
            "newest": sparkline([_badness(seen) for seen in observations.get(row.signal_key, [])[-10:]]),
            "for": age(((row.ended_at or as_of) - row.started_at).total_seconds()),
        }
        for row in shown
    ]
    columns = ["key", "state", "for", "newest", "what"]
    print_rows(listed, columns, output, "no incidents are open", width=80)
    _log.info(
        "incidents: %d open, %d ended, as of %s UTC; %s",
        len(open_rows),
        len(rows) - len(open_rows),
        f"{as_of:%Y-%m-%d %H:%M:%S}",
        coverage,
    )
    return ExitCode.PROBLEMS if fail_on == "incidents" and open_rows else ExitCode.OK


def _what(row: Incident, known: dict[str, Any]) -> str:
    """Title, detail and likely cause; where it is, and whether somebody knows of it."""
    cause = known.get("likely_cause")
    place = f"{row.project} ({row.environment})"
    if known.get("is_acknowledged"):
        place += f", acknowledged by {known['acknowledged_by'] or 'unknown'}"
    place += f", muted until {known['muted_until']}" if known.get("is_muted") else ""
    return "\n".join(filter(None, (row.title, row.detail, cause and f"likely cause: {cause}", place)))


def _badness(observation: dict[str, Any]) -> float | None:
    """How high an observation stands in a sparkline; None where what was watched was removed."""
    if observation["is_bad"] is None:
        return None
    return 0 if not observation["is_bad"] else 1 if observation["severity"] == "error" else 0.6


@verb("offdag mcp", "monitor_database", "lock_timeout")
def mcp(settings: Settings) -> int:
    """Answer an assistant's questions about builds and incidents, by the Model Context Protocol on standard input and output."""
    from offdag.assistant import server

    server(settings).run("stdio")
    return ExitCode.OK


@verb("offdag report --open", "monitor_database", "lock_timeout")
@click.option("--out", help="HTML file to write: a path, or a URL such as s3://. [OFFDAG_REPORT; .offdag/report.html]")
@click.option("--open", "is_opened", is_flag=True, help="Open it in the browser.")
def report(settings: Settings, out: str | None, is_opened: bool) -> int:
    """Render the marts as one HTML file, with the same data as JSON next to it."""
    import webbrowser

    from offdag.job import run_report

    hide("pandas")
    settings = settings.reporting_to(out) if out else settings
    run_report(settings)
    if is_opened:
        place = settings.report_path
        webbrowser.open(place if "://" in place else Path(place).absolute().as_uri())
    return ExitCode.OK


@verb("offdag publish s3://my-bucket/offdag", "monitor_database", "lock_timeout")
@click.argument("place")
def publish(settings: Settings, place: str) -> int:
    """Write the marts as Parquet files to PLACE, a folder or a URL, for a warehouse to read as external tables."""
    from offdag.export.marts import publish as publish_marts
    from offdag.monitor.marts import open_marts

    with open_marts(settings.monitor_database, settings.wait_as("publish")) as marts:
        done = publish_marts(marts, place)
    _log.info("published %d marts with %s rows into %s; %d removed", done.marts, f"{done.rows:,}", place, done.removed)
    return ExitCode.OK


@verb("offdag serve --open", "history", "config_dir", "monitor_project_dir", "monitor_database", "lock_timeout")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8580, show_default=True, help="Port; 0 for any free one."
)
@click.option(
    "--every",
    "seconds",
    type=click.FloatRange(0.1),
    default=5,
    show_default=True,
    help="Seconds between two checks for new data.",
)
@click.option("--open", "is_opened", is_flag=True, help="Open it in the browser.")
def serve(settings: Settings, port: int, seconds: float, is_opened: bool) -> int:
    """Serve the report on 127.0.0.1, drawn again when the history or the marts change."""
    import webbrowser

    from offdag.serve import serve as serve_report

    with contextlib.suppress(KeyboardInterrupt):
        serve_report(settings, port, seconds, webbrowser.open if is_opened else None)
    return ExitCode.OK
