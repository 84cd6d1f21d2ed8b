"""What has to be right before anybody can be told: each check says what it found and what to do."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from offdag.clock import utc_now
from offdag.errors import OffdagError
from offdag.history.history import History
from offdag.monitor.marts import Marts
from offdag.notify.message import Message
from offdag.notify.sinks import Refused, Unknown
from offdag.settings import Settings

Row = dict[str, Any]

_NEEDED_SCOPES = ("chat:write", "channels:read", "channels:history")
_PRIVATE_SCOPES = ("groups:read", "groups:history")
_FRESH = timedelta(days=1)


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        next_command: What to type; empty where it is well.
    """

    what: str
    is_well: bool
    detail: str
    next_command: str = ""


def checks(settings: Settings, history: History, with_message: bool, say: Callable[[str], None]) -> Iterator[Check]:
    """Look at one thing after the other; trouble with one stops none of the others."""
    yield _history(history)
    yield _marts(settings, say)
    if settings.slack_token:
        yield from _slack(settings, with_message)
    elif settings.slack_webhook:
        yield Check(
            "Slack", True, "a webhook is set: no threads, and nothing can be looked up before it is posted again"
        )
    else:
        command = "export OFFDAG_SLACK_BOT_TOKEN=...    (docs/slack-app-manifest.yml makes the app)"
        yield Check("Slack", True, "neither token nor webhook is set: messages are printed", command)


def told_channels(routes: list[Row], owner: str | None, node: str | None) -> list[Row]:
    """The rows of ``dim_node_routes`` of an owner, and of a node by its name or unique_id."""
    return sorted(
        (r for r in routes if owner in (None, r["owner"]) and node in (None, r["node_id"], r["node_name"])),
        key=lambda r: (r["project"], r["environment"], r["node_name"], r["severity"], r["channel"]),
    )


def _history(history: History) -> Check:
    """Two senders must never both get a name: without exclusive creation a message could be sent twice."""
    name = f"doctor-{uuid.uuid4().hex}.json"
    try:
        first, second = history.store.create(name, b"{}"), history.store.create(name, b"{}")
        history.store.delete(name)
    except OffdagError as error:
        return Check("history", False, error.what, error.next_command)
    if not first or second:
        return Check("history", False, "the store cannot create a file exclusively", "choose another --history")
    return Check("history", True, f"{history.root} can be read and written, and files are created exclusively")


def _marts(settings: Settings, say: Callable[[str], None]) -> Check:
    try:
        as_of = Marts(settings.monitor_database, "doctor", settings.lock_timeout, say).read("dim_monitor")[
            "dim_monitor"
        ][0]["as_of"]
    except OffdagError as error:
        return Check("marts", False, error.what, error.next_command)
    is_fresh = settings.now - as_of <= _FRESH
    detail = f"as of {as_of:%Y-%m-%d %H:%M} UTC"
    return Check("marts", is_fresh, detail, "" if is_fresh else "offdag monitor")


def _slack(settings: Settings, with_message: bool) -> Iterator[Check]:
    from offdag.notify.slack import SlackBot

    bot = SlackBot(settings.slack_token or "", settings.slack_api_url)
    try:
        who, scopes = bot.identity()
        yield Check("token", True, who)
        missing = [scope for scope in _NEEDED_SCOPES if scope not in scopes]
        yield Check(
            "scopes",
            not missing,
            f"missing: {', '.join(missing)}" if missing else "all that are needed",
            "add them to the Slack app and reinstall it" if missing else "",
        )
        absent = [scope for scope in _PRIVATE_SCOPES if scope not in scopes]
        if absent:
            yield Check("private channels", True, f"are not seen without {', '.join(absent)}")
        members = bot.memberships()
    except (Refused, Unknown) as problem:
        yield Check("Slack", False, str(problem), getattr(problem, "next_command", "offdag doctor"))
        return
    reached = []
    for channel in _channels(settings.monitor_project_dir):
        is_member = members.get(channel.lstrip("#"))
        if is_member:
            reached.append(channel)
            yield Check(channel, True, "the bot is in it")
        elif is_member is None:
            yield Check(
                channel,
                False,
                "there is no such channel that the bot sees",
                "create it, or mend seeds/alert_routes.csv",
            )
        else:
            yield Check(channel, False, "the bot is not in it", f"in Slack, type in {channel}: /invite @offdag")
    if with_message and reached:
        yield _message(bot, reached[0])


def _message(bot: Any, channel: str) -> Check:
    """The whole way of a message: posted, found again by its metadata, deleted."""
    envelope_id, now = f"doctor-{uuid.uuid4().hex}", utc_now()
    payload = bot.payload(Message("A test of offdag doctor; it deletes this message itself", ()), channel, None)
    try:
        posted = bot.post(payload, envelope_id)
        found = bot.find(payload, envelope_id, now)
        bot.delete(posted)
    except (Refused, Unknown) as problem:
        return Check("test message", False, f"{channel}: {problem}", getattr(problem, "next_command", "offdag doctor"))
    if found != posted:
        return Check(
            "test message",
            False,
            f"{channel}: it was posted and cannot be found",
            "add channels:history to the Slack app",
        )
    return Check("test message", True, f"posted to {channel}, found by its metadata, deleted")


def _channels(monitor_project: Path) -> list[str]:
    """Channels of the routes, and the default one."""
    import yaml

    try:
        with (monitor_project / "seeds" / "alert_routes.csv").open(encoding="utf-8", newline="") as seed:
            channels = {row["channel"] for row in csv.DictReader(seed) if row.get("channel")}
        variables = (yaml.safe_load((monitor_project / "dbt_project.yml").read_text(encoding="utf-8")) or {}).get(
            "vars", {}
        )
    except (OSError, yaml.YAMLError):
        return []
    return sorted(channels | {variables.get("default_channel", "#data-alerts")})
