"""Verbs for notifications: notify, mute, quarantine, ack, backtest, doctor."""

from __future__ import annotations

import json
import logging
from datetime import timedelta
from pathlib import Path

import click
import msgspec

from offdag.cli.output import FORMAT, print_rows
from offdag.cli.verb import verb
from offdag.errors import ExitCode
from offdag.settings import Settings

_log = logging.getLogger(__name__)


@verb("offdag notify --dry-run", "history", "monitor_database", "lock_timeout")
@click.option("--dry-run", is_flag=True, help="Print the exact payloads and write nothing.")
@FORMAT
def notify(settings: Settings, dry_run: bool, output: str) -> int:
    """Send undelivered notifications to Slack and OFFDAG_WEBHOOK_URL; print them where neither is set."""
    from offdag.job import preview_notifications, run_notify

    if dry_run:
        for sink, payloads in preview_notifications(settings):
            click.echo(json.dumps(payloads, indent=2, ensure_ascii=False))
            _log.info("%d messages would be sent to %s; nothing was written", len(payloads), sink)
        return ExitCode.OK
    return ExitCode.OK if run_notify(settings, click.echo, output == "json") else ExitCode.UNDELIVERED


@verb(
    "offdag mute 4f2a9c11 --until 2026-12-24 --reason 'the supplier is late' --write",
    "config_dir",
    "monitor_project_dir",
    "monitor_database",
    "lock_timeout",
)
@click.option("--until", required=True, help="Last day of the mute, such as 2026-12-24 (UTC, inclusive).")
@click.option("--reason", required=True, help="Why it is muted; the report shows it.")
@click.option(
    "--write", is_flag=True, help="Append the line to alert_mutes.csv of your folder; otherwise it is only printed."
)
@click.argument("target")
def mute(settings: Settings, until: str, reason: str, write: bool, target: str) -> int:
    """Send no alerts of TARGET for a while: a key that `offdag incidents` shows, a node's unique_id, or a kind such as model_slow."""
    from offdag.config_folder import seed_header
    from offdag.monitor.marts import open_marts
    from offdag.monitor.mutes import append_mute, last_day
    from offdag.monitor.mutes import mute as mute_of
    from offdag.monitor.rows import Incident

    day = last_day(until, settings.now.date(), f"offdag mute {target}")
    with open_marts(settings.monitor_database, settings.wait_as("mute")) as marts:
        incidents = marts.rows(Incident)
    models = settings.monitor_project_dir / "models"
    kinds = {path.stem.removeprefix("signal_") for path in models.rglob("signal_*.sql")}
    kinds |= {*settings.config.own_signal_kinds(), *(incident.kind for incident in incidents)}
    line = mute_of(target, day, reason, incidents, kinds).line(seed_header(settings.config.seed("alert_mutes")))
    click.echo(line)
    seed = settings.config.own_seed("alert_mutes")
    if not write:
        _log.info("1 line for %s; nothing was written (--write appends it)", seed)
    elif append_mute(seed, settings.config.seed("alert_mutes"), line):
        _log.info("appended 1 line to %s; the next monitor run applies it", seed)
    else:
        _log.info("0 lines appended: %s has it already", seed)
    return ExitCode.OK


@verb("offdag quarantine --write selectors.yml", "monitor_database", "lock_timeout")
@click.option("--project", "project", help="Only tests of this dbt project.")
@click.option(
    "--days", type=click.IntRange(1, 365), default=14, show_default=True, help="How long they may be left out."
)
@click.option("--write", type=click.Path(path_type=Path), help="Write the selector to this file of the dbt project.")
def quarantine(settings: Settings, project: str | None, days: int, write: Path | None) -> int:
    """List flaky tests that are not broken, and a selector for `dbt build --selector without_flaky_tests`."""
    from offdag.monitor.marts import open_marts
    from offdag.monitor.quarantine import selectors, write_selectors
    from offdag.monitor.rows import ProposedQuarantine

    with open_marts(settings.monitor_database, settings.wait_as("quarantine")) as marts:
        tests = [row for row in marts.rows(ProposedQuarantine) if project in (None, row.project)]
    until = settings.now.date() + timedelta(days=days)
    rows = [{**msgspec.structs.asdict(test), "until": str(until)} for test in tests]
    print_rows(rows, ["project", "environment", "node_name", "strip", "owner", "until"], "table", "no test is flaky")
    text = selectors(tests, until)
    if write:
        write_selectors(write, text)
        _log.info("%d tests are left out by dbt build --selector without_flaky_tests, by %s", len(tests), write)
    elif tests:
        click.echo(text)
    return ExitCode.OK


@verb(
    "offdag ack 4f2a9c11 --note 'the supplier is late' --until 2026-12-24",
    "history",
    "monitor_database",
    "lock_timeout",
)
@click.option("--by", help="Who acknowledges it. [OFFDAG_ACTOR; the login name]")
@click.option("--note", default="", help="What others should know; the report shows it.")
@click.option(
    "--until",
    help="Last day on which it holds, such as 2026-12-24 (UTC, inclusive); otherwise until the incident ends.",
)
@click.option(
    "--resolution",
    type=click.Choice(["fixed", "expected", "duplicate", "false_positive"]),
    help="Why it ends; also for an incident that has ended.",
)
@click.argument("key")
def ack(settings: Settings, by: str | None, note: str, until: str | None, resolution: str | None, key: str) -> int:
    """Acknowledge the open incident of KEY, as `offdag incidents` shows it: its reminders stop, its end is still sent."""
    from offdag.history.history import History
    from offdag.monitor.acknowledgements import Acknowledgement, acknowledge, newest_incident, open_incident
    from offdag.monitor.marts import open_marts
    from offdag.monitor.mutes import last_day
    from offdag.monitor.rows import Incident

    day = last_day(until, settings.now.date(), f"offdag ack {key}") if until else None
    with open_marts(settings.monitor_database, settings.wait_as("ack")) as marts:
        find = newest_incident if resolution else open_incident
        incident = find(key, marts.rows(Incident))
    given = Acknowledgement(by or settings.origin.actor or "unknown", note, day, resolution)
    acknowledge(History.open_existing(settings.history), incident, given, settings.now)
    _log.info("acknowledged by %s: %s; the next monitor run applies it", given.by, incident.title)
    return ExitCode.OK


@verb(
    "offdag backtest --with ../offdag-new --days 90",
    "history",
    "config_dir",
    "monitor_project_dir",
    "lock_timeout",
)
@click.option(
    "--with",
    "other",
    required=True,
    type=click.Path(file_okay=False, exists=True),
    help="A folder like offdag/ with other seeds, vars or signals.",
)
@click.option("--days", type=click.IntRange(1, 3660), default=90, show_default=True, help="Days up to now.")
@click.option(
    "--format", "output", type=click.Choice(["table", "json", "markdown"]), default="table", show_default=True
)
def backtest(settings: Settings, other: str, days: int, output: str) -> int:
    """Show which notifications other settings would have sent in the past; nothing is sent or recorded."""
    from offdag.backtest import backtest as compare
    from offdag.config_folder import ConfigFolder

    found = compare(settings, ConfigFolder(Path(other), settings.monitor_project_dir), days)
    if output == "markdown":
        click.echo(found.as_markdown())
    elif output == "json":
        click.echo(json.dumps({"weeks": found.weeks(), "changes": found.changes()}, indent=2))
    else:
        print_rows(
            found.weeks(),
            ["week", "channel", "current", "other", "added", "gone"],
            output,
            "no notifications in these days",
        )
        print_rows(
            found.changes(), ["change", "sent_at", "channel", "event", "what"], output, "nothing is added or gone"
        )
    _log.info("%s", found.summary())
    return ExitCode.OK


@verb(
    "offdag doctor --owner @shop-data",
    "history",
    "config_dir",
    "monitor_project_dir",
    "monitor_database",
    "lock_timeout",
)
@click.option("--owner", help="Also show which channels get alerts of this owner's nodes.")
@click.option("--node", help="Also show which channels get alerts of this node, by name or unique_id.")
@click.option("--no-message", is_flag=True, help="Post no test message.")
def doctor(settings: Settings, owner: str | None, node: str | None, no_message: bool) -> int:
    """Check the history, the marts, Slack's token, scopes and channels; post, find and delete a test message."""
    from offdag.doctor import alerted_channels, checks

    found = []
    for check in checks(settings, not no_message):
        found.append(check)
        click.echo(f"{'ok  ' if check.is_ok else 'BAD '} {check.name}: {check.detail}")
        if check.next_command:
            click.echo(f"     next: {check.next_command}")
    if owner or node:
        from offdag.monitor.marts import open_marts
        from offdag.monitor.rows import NodeRoute

        with open_marts(settings.monitor_database, settings.wait_as("doctor")) as marts:
            routes = alerted_channels(marts.rows(NodeRoute), owner, node)
        columns = ["project", "environment", "node_name", "severity", "channel", "mention", "is_off"]
        rows = [msgspec.structs.asdict(route) for route in routes]
        print_rows(rows, columns, "table", "no node of the newest manifests matches")
    bad = sum(not check.is_ok for check in found)
    _log.info("%d checks: %d ok, %d bad", len(found), len(found) - bad, bad)
    return ExitCode.USAGE if bad else ExitCode.OK
