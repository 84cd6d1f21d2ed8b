"""The verb that tells people: notify."""

from __future__ import annotations

import json
from datetime import timedelta

import click

from offdag.cli.verb import FORMAT, open_history, print_rows, say, verb
from offdag.errors import ExitCode, UsageError
from offdag.settings import Settings

# Older marts are not announced: what they say may be long over.
_STALEST = timedelta(days=1)


@verb("offdag notify --dry-run", "history", "monitor_project_dir", "monitor_database", "lock_timeout")
@click.option("--dry-run", is_flag=True, help="Print the exact payloads and write nothing.")
@FORMAT
def notify(settings: Settings, dry_run: bool, output: str) -> int:
    """Say in Slack, and to OFFDAG_WEBHOOK_URL, what nobody was told yet; print it where neither is set up."""
    from offdag.monitor.marts import Marts
    from offdag.notify.delivery import Delivery, sinks_for

    due = Marts(settings.monitor_database, "notify", settings.lock_timeout, say).read(
        "fct_notifications_due", "dim_monitor"
    )
    as_of = due["dim_monitor"][0]["as_of"]
    if not dry_run and settings.now - as_of > _STALEST:
        raise UsageError(
            f"the marts are as of {as_of:%Y-%m-%d %H:%M} UTC: too old to be told", "dim_monitor", "offdag monitor"
        )
    history, code = open_history(settings), ExitCode.OK
    for sink in sinks_for(settings, click.echo, output == "json"):
        delivery = Delivery(history, sink, say)
        if dry_run:
            payloads = delivery.preview(due["fct_notifications_due"])
            click.echo(json.dumps(payloads, indent=2, ensure_ascii=False))
            say(f"{len(payloads)} messages would be sent to {sink.name}; nothing was written")
            continue
        outcome = delivery.deliver(due["fct_notifications_due"])
        for failure in outcome.failures:
            say(str(failure))
        say(
            f"notified {sink.name}: messages delivered: {outcome.messages} (notifications: {outcome.notifications}), "
            f"refused: {len(outcome.failures)}, left to another sender or a later run: {outcome.pending}"
        )
        code = ExitCode.UNDELIVERED if outcome.failures or outcome.unknown else code
    return code


@verb(
    "offdag mute 4f2a9c11 --until 2026-12-24 --reason 'the supplier is late' --write",
    "monitor_project_dir",
    "monitor_database",
    "lock_timeout",
)
@click.option("--until", required=True, help="Last day of the mute, such as 2026-12-24 (UTC, inclusive).")
@click.option("--reason", required=True, help="Why it is muted; the report shows it.")
@click.option("--write", is_flag=True, help="Append the line to seeds/alert_mutes.csv; otherwise it is only printed.")
@click.argument("target")
def mute(settings: Settings, until: str, reason: str, write: bool, target: str) -> int:
    """Announce nothing of TARGET for a while: a key as `offdag incidents` shows it, a node's unique_id, or a kind such as model_slow."""
    from offdag.monitor.marts import Marts
    from offdag.monitor.mutes import append_mute, mute_line

    incidents = Marts(settings.monitor_database, "mute", settings.lock_timeout, say).read("fct_incidents")[
        "fct_incidents"
    ]
    models = settings.monitor_project_dir / "models" / "signals"
    kinds = {path.stem.removeprefix("signal_") for path in models.glob("signal_*.sql")}
    line = mute_line(incidents, kinds, target, until, reason, settings.now.date())
    click.echo(line)
    seed = settings.monitor_project_dir / "seeds" / "alert_mutes.csv"
    if not write:
        say(f"1 line for {seed}; nothing was written (--write appends it)")
    elif append_mute(seed, line):
        say(f"appended 1 line to {seed}; it holds from the next monitor run on")
    else:
        say(f"0 lines appended: {seed} has it already")
    return ExitCode.OK


@verb("offdag doctor --owner @shop-data", "history", "monitor_project_dir", "monitor_database", "lock_timeout")
@click.option("--owner", help="Also show which channels are told of this owner's nodes.")
@click.option("--node", help="Also show which channels are told of this node, by name or unique_id.")
@click.option("--no-message", is_flag=True, help="Post no test message.")
def doctor(settings: Settings, owner: str | None, node: str | None, no_message: bool) -> int:
    """Check the history, the marts, Slack's token, scopes and channels; post, find and delete a test message."""
    from offdag.doctor import checks, told_channels

    found = []
    for check in checks(settings, open_history(settings), not no_message, say):
        found.append(check)
        click.echo(f"{'ok  ' if check.is_well else 'BAD '} {check.what}: {check.detail}")
        if check.next_command:
            click.echo(f"     next: {check.next_command}")
    if owner or node:
        from offdag.monitor.marts import Marts

        marts = Marts(settings.monitor_database, "doctor", settings.lock_timeout, say)
        rows = told_channels(marts.read("dim_node_routes")["dim_node_routes"], owner, node)
        columns = ["project", "environment", "node_name", "severity", "channel", "mention", "is_off"]
        print_rows(rows, columns, "table", "no node of the newest manifests fits")
    bad = sum(not check.is_well for check in found)
    say(f"checked {len(found)} things: {len(found) - bad} well, {bad} bad")
    return ExitCode.USAGE if bad else ExitCode.OK
