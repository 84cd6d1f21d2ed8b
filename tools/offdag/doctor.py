"""Configuration checks for notifications: each reports what it found, and what to do about it."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from offdag.clock import utc_now
from offdag.collect.collector import REFUSED
from offdag.collect.observed_tables import read_observed_tables
from offdag.config_folder import ConfigFolder, seed_lines
from offdag.environment import UNKNOWN
from offdag.errors import OffdagError, UsageError
from offdag.extras import require
from offdag.history.history import History
from offdag.monitor.coverage import Coverage
from offdag.monitor.marts import open_marts
from offdag.monitor.project import assembled_project, project_vars
from offdag.monitor.rows import NodeRoute, ProposedCadence, SeedFinding
from offdag.notify.message import Message
from offdag.notify.services import variable_of
from offdag.notify.sinks import Refusal, UnknownOutcome
from offdag.settings import Settings

if TYPE_CHECKING:
    from offdag.notify.slack import SlackBot

_NEEDED_SCOPES = ("chat:write", "channels:read", "channels:history")
_PRIVATE_SCOPES = ("groups:read", "groups:history")
_FRESH = timedelta(days=1)
_REFUSED_DAYS = 7


@dataclass(frozen=True)
class Check:
    """One check.

    Attributes:
        name: What was checked.
        is_ok: Whether it passed.
        detail: What was found.
        next_command: What to type; empty where nothing is to be done.
    """

    name: str
    is_ok: bool
    detail: str
    next_command: str = ""


def checks(settings: Settings, with_message: bool) -> Iterator[Check]:
    """All checks in order; a failed check of the history or the marts does not stop the others."""
    yield _folder(settings.config)
    yield from _dbt(settings)
    yield _history(settings)
    yield from _artifacts(settings)
    yield from _marts(settings)
    if settings.slack_token:
        yield from _slack(settings, with_message)
    elif settings.slack_webhook:
        yield Check("Slack", True, "a webhook is set: no threads, and no lookup before a message is posted again")
    else:
        command = "export OFFDAG_SLACK_BOT_TOKEN=xoxb-...    (docs/slack-app-manifest.yml creates the app)"
        yield Check("Slack", True, "neither token nor webhook is set: messages are printed", command)
    yield from _services(settings)


def alerted_channels(routes: list[NodeRoute], owner: str | None, node: str | None) -> list[NodeRoute]:
    """The routes of an owner, and of a node by its name or unique_id."""
    return sorted(
        (r for r in routes if owner in (None, r.owner) and node in (None, r.node_id, r.node_name)),
        key=lambda r: (r.project, r.environment, r.node_name, r.severity, r.channel),
    )


def _folder(config: ConfigFolder) -> Check:
    """Whether the user's folder can be used; without one the defaults are in use."""
    try:
        if config.folder is None:
            what = "there is no folder of yours: the default routes and thresholds are in use"
            return Check("folder", True, what, "offdag init    # writes offdag/, which is yours")
        with tempfile.TemporaryDirectory(prefix="offdag-doctor-") as folder:
            assembled_project(config, read_observed_tables(config), Path(folder) / "project")
        signals = config.own_signal_kinds()
    except UsageError as error:
        return Check("folder", False, f"{error.what} ({error.where})", error.next_command)
    own = f", with your signals {', '.join(signals)}" if signals else ""
    return Check("folder", True, f"{config.folder} is laid over offdag's defaults{own}")


def _dbt(settings: Settings) -> Iterator[Check]:
    """The dbt that `offdag run -- dbt` would start, and that of the monitor."""
    found = shutil.which("dbt", path=settings.environ.get("PATH"))
    if found:
        yield Check("dbt", True, f"offdag run -- dbt starts {found}")
    else:
        yield Check(
            "dbt",
            True,
            "there is no dbt on PATH: name yours, or collect what it left",
            "offdag run -- path/to/dbt build",
        )
    try:
        require("dbt.cli", "dbt.adapters.duckdb")
    except UsageError as error:
        yield Check("monitor's dbt", False, error.what, error.next_command)
        return
    yield Check(
        "monitor's dbt", True, f"dbt-core {version('dbt-core')}, DuckDB {version('duckdb')}, beside this offdag"
    )


def _history(settings: Settings) -> Check:
    try:
        is_exclusive = History(settings.history).creates_exclusively()
    except OffdagError as error:
        return Check("history", False, error.what, error.next_command)
    if not is_exclusive:
        return Check(
            "history", False, "the store cannot create a file exclusively", "export OFFDAG_HISTORY=.offdag/history"
        )
    return Check("history", True, f"{settings.history} can be read and written, and creates files exclusively")


def _artifacts(settings: Settings) -> Iterator[Check]:
    """Whether artifacts of the last days gave no rows; nothing where the history cannot be read, which is a check of its own."""
    since = settings.now.date() - timedelta(days=_REFUSED_DAYS)
    try:
        history = History.open_existing(settings.history)
        days = [day for day in history.dates("artifact_verdicts") if day >= since]
        rows = [row for day in days for row in history.read_day("artifact_verdicts", day, ["verdict"]).to_pylist()]
    except OffdagError:
        return
    counts = Counter(row["verdict"] for row in rows if row["verdict"] in REFUSED)
    if not counts:
        yield Check("artifacts", True, f"none was refused in the last {_REFUSED_DAYS} days")
        return
    found = ", ".join(f"{count} {verdict}" for verdict, count in sorted(counts.items()))
    yield Check("artifacts", False, f"refused in the last {_REFUSED_DAYS} days: {found}", "offdag verdicts")


def _marts(settings: Settings) -> Iterator[Check]:
    try:
        with open_marts(settings.monitor_database, settings.wait_as("doctor")) as marts:
            as_of, coverage = marts.monitor_run().as_of, Coverage.of(marts)
            findings, cadences = marts.rows(SeedFinding), marts.rows(ProposedCadence)
    except OffdagError as error:
        yield Check("marts", False, error.what, error.next_command)
        return
    is_fresh = settings.now - as_of <= _FRESH
    yield Check("marts", is_fresh, f"as of {as_of:%Y-%m-%d %H:%M} UTC", "" if is_fresh else "offdag monitor")
    yield _builds(coverage)
    if any(row.environment == UNKNOWN for row in coverage.environments):
        what = "some commands were recorded without an environment, and nothing alerts of them"
        yield Check("environment", True, what, "offdag run -e prod -- dbt build")
    # Before the first build nothing has any name.
    yield from (_seed(finding) for finding in findings if finding.is_error or coverage.environments)
    alerting = {(row.project, row.environment) for row in coverage.alerting}
    yield from (_cadence(row, settings.config) for row in cadences if (row.project, row.environment) in alerting)


# What a line of a seed does where a cell cannot be used.
_WITHOUT = {
    "due_time": "counts from one build to the next",
    "days": "expects builds on every day",
    "due_days": "is due on every day",
    "calendar": "has no holidays",
    "quiet_from": "has no quiet hours",
    "quiet_to": "has no quiet hours",
    "timezone": "counts in UTC",
}


def _seed(finding: SeedFinding) -> Check:
    """A name in a seed that nothing has: misspelt, or of what is still to come."""
    what = f"{finding.column_name} {finding.named_value}"
    if finding.is_error:
        if finding.seed_name == "meta.alerts":
            without = {"due_time": "has no deadline"}.get(finding.column_name, _WITHOUT[finding.column_name])
            problem = f"there is no {what}: the node that names it {without}"
            return Check("meta.alerts", False, problem, "dbt build    # after correcting it")
        problem = f"there is no {what}: the line {_WITHOUT.get(finding.column_name, 'never matches')}"
        return Check(f"{finding.seed_name}.csv", False, problem, "offdag monitor    # after correcting it")
    return Check(f"{finding.seed_name}.csv", True, f"no collected command has {what}: is it misspelt?")


def _cadence(found: ProposedCadence, config: ConfigFolder) -> Check:
    """Builds that come regularly and are not expected: no alert would report that they stopped."""
    what = (
        f"{found.project} ({found.environment}) builds regularly ({found.evidence}), and no missing build would alert"
    )
    line = f"{found.project},{found.environment},,,{found.every_hours:g},{found.grace_hours:g},{found.days or ''},,"
    return Check(
        "run_cadences.csv", True, what, f"offdag init    # or the line {line} in {config.own_seed('run_cadences')}"
    )


def _builds(coverage: Coverage) -> Check:
    """Whether there is anything to be alerted of: without builds no incident can be open."""
    other = f"; not alerted: {', '.join(coverage.not_alerting)}" if coverage.not_alerting else ""
    if not coverage.alerting:
        what = f"{coverage}; none is of an alerting environment{other}"
        return Check(
            "builds", False, what, "offdag run -e prod -- dbt build    # or alerting_environments in dbt_project.yml"
        )
    if coverage.silent:
        what = f"{coverage}; none for a long time: {', '.join(coverage.silent)}"
        return Check("builds", False, what, "offdag run -e prod -- dbt build")
    return Check("builds", True, f"{coverage}{other}")


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
            "offdag doctor    # after adding the scopes to the Slack app and reinstalling it" if missing else "",
        )
        absent = [scope for scope in _PRIVATE_SCOPES if scope not in scopes]
        if absent:
            yield Check("private channels", True, f"are not seen without {', '.join(absent)}")
        members = bot.memberships()
    except (Refusal, UnknownOutcome) as problem:
        yield Check("Slack", False, str(problem), getattr(problem, "next_command", "offdag doctor"))
        return
    reached = []
    try:
        channels = _channels(settings.config, settings.slack_channel)
    except UsageError as error:
        yield Check("routes", False, error.what, error.next_command)
        return
    for channel in filter(lambda channel: not variable_of(channel), channels):
        is_member = members.get(channel.lstrip("#"))
        if is_member:
            reached.append(channel)
            yield Check(channel, True, "the bot is in it")
        elif is_member is None:
            yield Check(
                channel,
                False,
                "the bot sees no channel of this name",
                "offdag doctor    # after creating the channel, or correcting seeds/alert_routes.csv",
            )
        else:
            yield Check(
                channel, False, "the bot is not in it", f"offdag doctor    # after /invite @offdag in {channel}"
            )
    if with_message and reached:
        yield _message(bot, reached[0])


def _services(settings: Settings) -> Iterator[Check]:
    """Whether each service that a route names has its key or URL."""
    try:
        channels = _channels(settings.config, settings.slack_channel)
    except UsageError:
        return
    for channel in channels:
        variable = variable_of(channel)
        if variable:
            is_set = variable in settings.services
            what = f"{variable} is {'' if is_set else 'not '}set"
            yield Check(channel, is_set, what, "" if is_set else f"export {variable}=...    # see docs/alerts.md")


def _message(bot: SlackBot, channel: str) -> Check:
    """Post a message, find it by its metadata, and delete it."""
    envelope_id, now = f"doctor-{uuid.uuid4().hex}", utc_now()
    payload = bot.payload(Message("A test of offdag doctor; it deletes this message itself", ()), channel, None)
    try:
        posted = bot.post(payload, envelope_id)
        found = bot.find(payload, envelope_id, now)
        bot.delete(posted)
    except (Refusal, UnknownOutcome) as problem:
        return Check("test message", False, f"{channel}: {problem}", getattr(problem, "next_command", "offdag doctor"))
    if found != posted:
        return Check(
            "test message",
            False,
            f"{channel}: it was posted and cannot be found",
            "offdag doctor    # after adding channels:history to the Slack app",
        )
    return Check("test message", True, f"posted to {channel}, found by its metadata, deleted")


def _channels(config: ConfigFolder, default: str | None) -> list[str]:
    """Channels of the routes and of the business checks, and the default one.

    Raises:
        UsageError: A seed or dbt_project.yml cannot be read.
    """
    seeds = [config.seed(name) for name in ("alert_routes", "business_checks")]
    named = {line.get("channel", "") for seed in seeds if seed.is_file() for _, line in seed_lines(seed)}
    return sorted({*named, default or str(project_vars(config)["default_channel"])} - {""})
