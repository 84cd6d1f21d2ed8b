"""A run of the monitor: by the plan of the last one, or `dbt build` as a child process."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

import duckdb

from offdag import __version__
from offdag.clock import utc_now
from offdag.collect.observed_tables import ObservedTable, declare_observed_tables, read_observed_tables
from offdag.config_folder import ConfigFolder
from offdag.duckdb_files import LockWait, is_lock_message, open_for_writing, wait_until_free
from offdag.errors import DatabaseLocked, MonitorError, UsageError, error_text
from offdag.extras import require
from offdag.history.history import History
from offdag.monitor.last_run import Inputs, LastRun
from offdag.monitor.plan import Contents, Plan, failures, run_plan
from offdag.monitor.project import assembled_project
from offdag.settings import Settings

_log = logging.getLogger(__name__)

_SHOWN_LINES = 40
_PLAN = "plan.json"
# For the second attempt, where the history is too large for the profile's limit.
_MORE_MEMORY = "2GB"
# DuckDB's and s3fs's messages for a file that was removed after the files were listed.
_VANISHED = re.compile(
    r"No files found that match the pattern|\.parquet\W*.{0,40}No such file|NoSuchKey|FileNotFoundError"
)


def is_vanished_file_message(text: str) -> bool:
    """Whether an error text is about a file of the history that was removed while it was read, as compaction may do."""
    return bool(_VANISHED.search(text))


@dataclass(frozen=True)
class RunOptions:
    """How the monitor is run.

    Attributes:
        all_tests: Also run the tests and unit tests that a scheduled run leaves out.
        by_dbt: Run dbt also where the plan of the last run would do.
        is_recorded: Leave a row in the history. A run for a question only must not: what it sees counts as seen.
        variables: Vars over the user's.
    """

    all_tests: bool = False
    by_dbt: bool = False
    is_recorded: bool = True
    variables: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class MonitorBuild:
    """What a run of the monitor gave.

    Attributes:
        as_of: Naive UTC.
        is_whole: Whether the user's own signals and checks are in it; without them everything else is.
    """

    as_of: datetime
    is_whole: bool


def build_monitor(settings: Settings, history: History, options: RunOptions) -> MonitorBuild:
    """Bring the monitor's database up to date, and record the run.

    Args:
        settings: Names the project, its database, the history and ``as_of``.
        history: Gets a ``monitor_runs`` row.
        options: How to run.

    Raises:
        UsageError: There is no monitor project, or a file of the user's folder cannot be used.
        DatabaseLocked: The database stayed locked.
        MonitorError: dbt failed; the error carries the end of its output.
    """
    packaged = settings.monitor_project_dir.absolute()
    if not (packaged / "dbt_project.yml").is_file():
        raise UsageError(
            "there is no monitor project",
            str(packaged / "dbt_project.yml"),
            "offdag monitor --monitor-project-dir monitor_project",
        )
    require("dbt.cli", "dbt.adapters.duckdb")
    started_at = utc_now()
    settings = replace(settings, as_of=settings.now)
    work = _work_folder(settings.monitor_database.absolute())
    observed = _observed(history, settings.config, options)
    project = assembled_project(settings.config, observed, work / "project", variables=options.variables)
    given = _given(settings, [table.name for table in observed])
    inputs = Inputs.of(project, given)
    last_run = LastRun(work / "last_run.json", settings.monitor_database.absolute())
    known = last_run.contents(inputs)
    by_plan = None if options.all_tests or options.by_dbt or known is None else _run_by_plan(settings, work, known)
    exit_code, output = (
        (0, "") if by_plan is not None else _run_by_dbt(settings, project, given, options, last_run.has_rules(inputs))
    )
    own_error = ""
    if exit_code and not options.all_tests and settings.config.has_own_sql():
        # A mistake in the user's own SQL, or a value that it does not expect, must not stop the alerts of everything else.
        own_error = output
        project = assembled_project(settings.config, observed, work / "project", False, options.variables)
        exit_code, output = _run_by_dbt(settings, project, given, options, has_rules=False)
    if options.is_recorded:
        _record(history, settings.now, started_at, exit_code, project)
    if exit_code != 0:
        raise MonitorError(
            f"dbt could not build the monitor (exit code {exit_code}):\n{_end_of(output)}",
            str(project),
            f"tail -n 50 {work / 'logs' / 'dbt.log'}",
        )
    if own_error:
        what = f"your own signals and checks are left out, since dbt could not build them:\n{_end_of(own_error)}"
        _log.error("%s", error_text(what, settings.config.name, "offdag monitor    # after correcting them"))
    else:
        last_run.write(inputs, by_plan or {})
    if output.strip():
        _log.info("%s", output.strip())
    return MonitorBuild(settings.now, not own_error)


def _observed(history: History, config: ConfigFolder, options: RunOptions) -> list[ObservedTable]:
    """The observed tables; a run that leaves nothing in the history knows those that are in it."""
    if options.is_recorded:
        return declare_observed_tables(history, config)
    return [table for table in read_observed_tables(config) if history.dates(table.history_table)]


def _record(history: History, as_of: datetime, started_at: datetime, exit_code: int, project: Path) -> None:
    identity = uuid.uuid4().hex
    row = {
        "monitor_run_id": identity,
        "as_of": as_of,
        "started_at": started_at,
        "ended_at": utc_now(),
        "exit_code": exit_code,
        "offdag_version": __version__,
        "seeds": _seeds(project),
    }
    history.put("monitor_runs", started_at.date(), identity, [row])


def _end_of(output: str) -> str:
    return "\n".join(output.strip().splitlines()[-_SHOWN_LINES:])


def _work_folder(database: Path) -> Path:
    """The folder of dbt's files and of the plan, beside the database."""
    work = database.parent / "monitor_target"
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the monitor's database cannot be made: {error.strerror}",
            str(database),
            "offdag monitor --monitor-database .offdag/monitor.duckdb",
        ) from error
    return work


def _run_by_plan(settings: Settings, work: Path, known: Contents) -> Contents | None:
    """The contents after a run of the plan; None where dbt has to do it."""
    plan = Plan.read(work / _PLAN)
    if plan is None:
        return None
    try:
        with open_for_writing(settings.monitor_database, settings.wait_as("monitor")) as connection:
            contents = run_plan(plan, connection, settings.history, settings.now, known)
    except duckdb.Error as error:
        _log.info("the plan of the last run failed, and dbt builds the monitor: %s", str(error).splitlines()[0])
        return None
    for test, rows in failures(contents):
        _log.warning("the test %s of the monitor found rows: %d", test, rows)
    return contents


def _run_by_dbt(
    settings: Settings, project: Path, given: Mapping[str, str], options: RunOptions, has_rules: bool
) -> tuple[int, str]:
    """Exit code and output of `dbt build`."""
    database = settings.monitor_database.absolute()
    command = _command(settings, project, database.parent / "monitor_target", options.all_tests)
    if not has_rules:
        # Rows that other rules made are computed again. dbt parses all files: from a parsed earlier version, it may take a node that moved
        # to another file for two of one name.
        command.append("--full-refresh")
        (database.parent / "monitor_target" / "partial_parse.msgpack").unlink(missing_ok=True)
    build = _DbtBuild(command, _environ(settings, given, settings.now, options.all_tests), project, database)
    return build.run_when_free(settings.wait_as("monitor"))


def _command(settings: Settings, project: Path, work: Path, all_tests: bool) -> list[str]:
    """The child's command line; its artifacts are not written, since nothing reads them."""
    command = [sys.executable, "-m", "offdag.monitor.planner", "" if all_tests else str(work / _PLAN)]
    command += ["--no-use-colors", "--no-write-json", "--log-level", "warn", "--log-path", str(work / "logs")]
    command += ["build", "--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(work)]
    command += ["--target", "duckdb_object_store" if "://" in settings.history else "duckdb"]
    if not all_tests:
        command += ["--exclude-resource-type", "unit_test", "--exclude", "tag:all_tests"]
    return command


def _given(settings: Settings, observed: list[str]) -> dict[str, str]:
    """The settings that the monitor project reads while dbt parses."""
    return {
        "OFFDAG_HISTORY": settings.history,
        "OFFDAG_MONITOR_DATABASE": str(settings.monitor_database.absolute()),
        "OFFDAG_MEMORY_LIMIT": settings.memory_limit,
        # Models about a table that is not observed are not built.
        "OFFDAG_OBSERVED_TABLES": "|".join(observed),
        "OFFDAG_SLACK_CHANNEL": settings.slack_channel or "",
        "OFFDAG_ALERTING_ENVIRONMENTS": settings.alerting_environments or "",
    }


def _environ(settings: Settings, given: Mapping[str, str], as_of: datetime, all_tests: bool) -> dict[str, str]:
    """The child's environment: without DBT_*, which could point to the monitored project, and without offdag's secrets."""
    inherited = {
        k: v for k, v in settings.environ.items() if not k.startswith(("DBT_", "OFFDAG_")) and v not in settings.secrets
    }
    return inherited | {
        **given,
        # A failing test must not stop the alerts that are built after it: outside of --all-tests it warns.
        "OFFDAG_TEST_SEVERITY": "error" if all_tests else "warn",
        "OFFDAG_AS_OF": as_of.isoformat(sep=" ", timespec="microseconds"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }


@dataclass(frozen=True)
class _DbtBuild:
    """One dbt command on the monitor project.

    Attributes:
        command: Program and arguments.
        environ: Its whole environment.
        project: Folder in which it runs.
        database: DuckDB file that it writes.
    """

    command: list[str]
    environ: Mapping[str, str]
    project: Path
    database: Path

    def run_when_free(self, wait: LockWait) -> tuple[int, str]:
        """Run dbt once no other process has the database, and again where another one took it first.

        It is also repeated, once each, where compaction removed a file meanwhile, and where DuckDB's memory was not enough.

        Returns:
            Exit code and output.

        Raises:
            DatabaseLocked: Another process kept taking the database up to the deadline.
        """
        deadline = time.monotonic() + wait.timeout
        environ = dict(self.environ)
        has_repeated = has_grown = False
        while True:
            wait_until_free(self.database, replace(wait, timeout=max(0.0, deadline - time.monotonic())))
            done = subprocess.run(
                self.command,
                cwd=self.project,
                env=environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode != 0 and is_vanished_file_message(done.stdout) and not has_repeated:
                has_repeated = True
                _log.info("monitor repeats: a file of the history was merged into another one while it was read")
                continue
            if done.returncode != 0 and "Out of Memory Error" in done.stdout and not has_grown:
                has_grown = True
                environ["OFFDAG_MEMORY_LIMIT"] = _MORE_MEMORY
                _log.info(
                    "monitor repeats with %s of memory: the usual limit is too small for this history", _MORE_MEMORY
                )
                continue
            if done.returncode == 0 or not is_lock_message(done.stdout):
                return done.returncode, done.stdout
            if time.monotonic() >= deadline:
                raise DatabaseLocked(
                    "another process keeps taking the monitor's database", str(self.database), "offdag monitor"
                )
            _log.info("monitor lost the database to another process, and tries again")


def _seeds(project: Path) -> str:
    """The seeds as JSON by file name, so that a run can be repeated."""
    return json.dumps(
        {
            path.name: path.read_text(encoding="utf-8", errors="replace")
            for path in sorted((project / "seeds").glob("*.csv"))
        }
    )
