"""The steps after a build, and all of them as one job: freshness, build, monitor, notify, report."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from offdag.errors import ExitCode, OffdagError, UsageError, error_text
from offdag.settings import Settings

if TYPE_CHECKING:
    from offdag.dbt.signals import SignalRelay
    from offdag.monitor.build import RunOptions
    from offdag.monitor.coverage import Coverage
    from offdag.monitor.rows import DueNotification, OpenMessage
    from offdag.notify.sinks import Payload

_log = logging.getLogger(__name__)

# Older marts are not announced: what they report may have recovered since.
_OLDEST_MARTS = timedelta(days=1)


def run_monitor(settings: Settings, options: RunOptions | None = None) -> int:
    """Build the monitor and call the heartbeat.

    Returns:
        The number of open incidents. Without any build in the history there is a warning, and no heartbeat.

    Raises:
        MonitorError: It could not be built or read.
        HistoryError: The history cannot be read or written.
    """
    from offdag.history.compaction import compact_in_passing
    from offdag.history.history import History
    from offdag.monitor.build import RunOptions, build_monitor
    from offdag.monitor.coverage import Coverage
    from offdag.monitor.marts import open_marts
    from offdag.monitor.rows import Incident
    from offdag.notify.heartbeat import call_heartbeat

    try:
        history = History(settings.history)
        compact_in_passing(history)
        built = build_monitor(settings, history, options or RunOptions())
        with open_marts(settings.monitor_database, settings.wait_as("monitor")) as marts:
            incidents, coverage = marts.rows(Incident), Coverage.of(marts)
    except OffdagError as error:
        call_heartbeat(settings, False, error.what)
        raise
    open_count = sum(incident.is_open for incident in incidents)
    ended_count = len(incidents) - open_count
    line = f"monitored as of {built.as_of:%Y-%m-%d %H:%M:%S} UTC: incidents: {open_count} open, {ended_count} ended; {coverage}"
    _log.info("%s, in %s", line, settings.history)
    if coverage.alerting:
        call_heartbeat(settings, built.is_whole, line if built.is_whole else "the user's own signals are left out")
    else:
        _log.warning("%s", _not_alerted(coverage, settings.history))
    return open_count


def _not_alerted(coverage: Coverage, history: str) -> str:
    """Why there can be no incident: a wrong history, or an environment that nobody asked to be alerted of."""
    if not coverage.build_count:
        return error_text("the history has no build: nothing is monitored", history, "offdag run -e prod -- dbt build")
    names = ", ".join(coverage.not_alerting)
    what = f"no build is of an alerting environment: nothing is alerted of {names}"
    command = f"export OFFDAG_ALERTING_ENVIRONMENTS={shlex.quote(','.join(coverage.not_alerting))}    # or offdag init"
    return error_text(what, "the var alerting_environments", command)


def run_notify(settings: Settings, show: Callable[[str], None], is_json: bool = False) -> bool:
    """Send undelivered notifications to every sink that is set.

    Args:
        settings: Name the sinks.
        show: Gets messages where no sink is set.
        is_json: Show them as JSON documents.

    Returns:
        Whether everything was delivered, or is held by another sender.

    Raises:
        UsageError: The marts are too old to be announced.
    """
    from offdag.history.history import History
    from offdag.notify.delivery import Delivery
    from offdag.notify.services import services_of
    from offdag.notify.sinks import sinks_for

    due, messages = _due(settings, is_preview=False)
    history = History(settings.history)
    is_complete = True
    sinks = sinks_for(settings, show, is_json, services_of(due, settings))
    for sink in sinks:
        outcome = Delivery(history, sink, report_url=settings.report_url).deliver(due)
        for failure in outcome.failures:
            _log.error("%s", failure)
        _log.info(
            "notified %s: messages delivered: %d (notifications: %d), refused: %d, left to another sender or a later run: %d",
            sink.name,
            outcome.messages,
            outcome.notifications,
            len(outcome.failures),
            outcome.pending,
        )
        is_complete = is_complete and not outcome.failures and not outcome.unknown
    if messages:
        from offdag.notify.reactions import acknowledge_by_reactions
        from offdag.notify.slack import SlackBot

        for bot in (sink for sink in sinks if isinstance(sink, SlackBot)):
            acknowledge_by_reactions(bot, history, messages, settings.now)
    return is_complete


def preview_notifications(settings: Settings) -> list[tuple[str, list[Payload]]]:
    """The payloads that would be sent, by sink; nothing is written.

    Raises:
        MonitorError: The monitor has not been built.
    """
    from offdag.history.history import History
    from offdag.notify.delivery import Delivery
    from offdag.notify.services import services_of
    from offdag.notify.sinks import sinks_for

    due, _ = _due(settings, is_preview=True)
    history = History.open_existing(settings.history)
    return [
        (sink.name, Delivery(history, sink, report_url=settings.report_url).preview(due))
        for sink in sinks_for(settings, lambda _: None, services=services_of(due, settings))
    ]


def run_report(settings: Settings) -> None:
    """Render the report.

    Raises:
        MonitorError: The monitor has not been built.
        UsageError: The file cannot be written.
    """
    from offdag.monitor.marts import open_marts
    from offdag.report.contents import Contents
    from offdag.report.files import write_report

    with open_marts(settings.monitor_database, settings.wait_as("report")) as marts:
        contents = Contents.read(marts)
    for section, reason in contents.errors.items():
        _log.warning("the section %s is left out: %s", section, reason)
    page, data = write_report(contents, settings.report_path, settings.now, settings.monitor_database.parent)
    _log.info("rendered %d rows into %s and %s", contents.row_count, page, data)


@dataclass(frozen=True)
class Job:
    """A dbt command and the steps around it.

    Attributes:
        project_dir: Folder in which dbt runs.
        command: Such as ``dbt build --target prod``.
        has_freshness: Run ``dbt source freshness`` with the same flags first.
        wait: Longest wait for another job, in seconds.
    """

    project_dir: Path
    command: Sequence[str]
    has_freshness: bool
    wait: float


def run_job(settings: Settings, job: Job, show: Callable[[str], None]) -> int:
    """Run a job; only one runs at a time with the same monitor database. Later steps run also after a failed build.

    Args:
        settings: Of all steps.
        job: What to run.
        show: Gets messages where no sink is set.

    Returns:
        dbt's own exit code; 75 where another job kept running.
    """
    from offdag.dbt.signals import SignalRelay

    folder = settings.monitor_database.absolute().parent
    folder.mkdir(parents=True, exist_ok=True)
    # The lock ends with this process, which waits for dbt whatever signal comes.
    with _lock(folder, job.wait) as is_mine, SignalRelay(until_exit=True) as relay:
        if not is_mine:
            return ExitCode.BUSY
        return _run_steps(replace(settings, job_id=settings.job_id or uuid.uuid4().hex), job, show, relay)


def _run_steps(settings: Settings, job: Job, show: Callable[[str], None], relay: SignalRelay) -> int:
    from offdag.collect.run import run_and_collect
    from offdag.dbt.command import freshness_command

    freshness = freshness_command(job.command) if job.has_freshness else []
    if freshness:
        _step("dbt source freshness", lambda: run_and_collect(settings, job.project_dir, freshness, relay))
    if relay.stopped_by:
        _log.warning("job stopped by %s before the build", relay.stopped_by)
        return 128 + signal.Signals[relay.stopped_by].value
    code, refusal = 0, None
    try:
        code = run_and_collect(settings, job.project_dir, job.command, relay).exit_code
    except OffdagError as error:
        # dbt could not start: the monitor still has to find what is missing.
        refusal = error
    steps: dict[str, Callable[[], object]] = {
        "monitor": lambda: run_monitor(settings),
        "notify": lambda: run_notify(settings, show),
        "report": lambda: run_report(settings),
    }
    for name, step in steps.items():
        if relay.stopped_by:
            _log.warning("job stopped by %s: %s is left to the next run", relay.stopped_by, name)
        else:
            _step(name, step)
    if refusal is not None:
        raise refusal
    return code


@contextmanager
def _lock(folder: Path, wait: float) -> Iterator[bool]:
    """Whether this is the only job of a folder; a waiting one logs the process that it waits for."""
    from filelock import FileLock, Timeout

    lock, holder = FileLock(folder / "job.lock"), folder / "job.pid"
    try:
        lock.acquire(timeout=0)
    except Timeout:
        pid = holder.read_text(encoding="utf-8").strip() if holder.is_file() else "unknown"
        _log.info("job waits up to %.0f s for process %s", wait, pid)
        try:
            lock.acquire(timeout=wait)
        except Timeout:
            _log.error("job ends: process %s is still running", pid)
            yield False
            return
    try:
        holder.write_text(str(os.getpid()), encoding="utf-8")
        yield True
    finally:
        lock.release()


def _step(name: str, run: Callable[[], object]) -> None:
    """Run a step and log its time; an error is logged, and the next step runs."""
    start = time.monotonic()
    try:
        run()
    except OffdagError as error:
        _log.error("%s", error)
        _log.error("-- %s: failed with exit code %d after %.0f s", name, error.exit_code, time.monotonic() - start)
        return
    except Exception:
        # A defect in one step must not hide dbt's exit code, or stop the alerts.
        _log.exception("-- %s: failed because of a defect in offdag", name)
        return
    _log.info("-- %s: done in %.0f s", name, time.monotonic() - start)


def _due(settings: Settings, is_preview: bool) -> tuple[list[DueNotification], list[OpenMessage]]:
    """What is due, and where a person may have acknowledged what is open."""
    from offdag.monitor.marts import open_marts
    from offdag.monitor.rows import DueNotification, OpenMessage

    with open_marts(settings.monitor_database, settings.wait_as("notify")) as marts:
        due, as_of = marts.rows(DueNotification), marts.monitor_run().as_of
        messages = marts.rows(OpenMessage) if settings.slack_token else []
    if not is_preview and settings.now - as_of > _OLDEST_MARTS:
        raise UsageError(
            f"the marts are as of {as_of:%Y-%m-%d %H:%M} UTC: too old to be announced", "dim_monitor", "offdag monitor"
        )
    return due, messages
