"""The verb that tells people: notify."""

from __future__ import annotations

import json
from datetime import timedelta

import click

from offdag.cli.frame import open_history, say, verb
from offdag.errors import ExitCode, UsageError
from offdag.settings import Settings

# Older marts are not announced: what they say may be long over.
_STALEST = timedelta(days=1)


@verb("offdag notify --dry-run", "history", "monitor_project_dir", "monitor_database", "lock_timeout")
@click.option("--dry-run", is_flag=True, help="Print the exact payloads and write nothing.")
def notify(settings: Settings, dry_run: bool) -> int:
    """Say in Slack what the monitor found and nobody was told yet; print it where Slack is not set up."""
    from offdag.marts import Marts
    from offdag.notify.delivery import Delivery, sink_for

    due = Marts(settings.monitor_database, "notify", settings.lock_timeout, say).read(
        "fct_notifications_due", "dim_monitor"
    )
    as_of = due["dim_monitor"][0]["as_of"]
    if not dry_run and settings.now - as_of > _STALEST:
        raise UsageError(
            f"the marts are as of {as_of:%Y-%m-%d %H:%M} UTC: too old to be told", "dim_monitor", "offdag monitor"
        )
    sink = sink_for(settings, click.echo)
    delivery = Delivery(open_history(settings), sink, say)
    if dry_run:
        payloads = delivery.preview(due["fct_notifications_due"])
        click.echo(json.dumps(payloads, indent=2, ensure_ascii=False))
        say(f"{len(payloads)} messages would be sent to {sink.name}; nothing was written")
        return ExitCode.OK
    outcome = delivery.deliver(due["fct_notifications_due"])
    for failure in outcome.failures:
        say(str(failure))
    say(
        f"notified {sink.name}: messages delivered: {outcome.messages} (notifications: {outcome.notifications}), "
        f"refused: {len(outcome.failures)}, left to another sender or a later run: {outcome.pending}"
    )
    return ExitCode.UNDELIVERED if outcome.failures or outcome.unknown else ExitCode.OK
