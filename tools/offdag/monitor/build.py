"""`dbt build` on the monitor project, as a child process."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from offdag import __version__
from offdag.clock import utc_now
from offdag.collect.observed_tables import declare_observed_tables
from offdag.duckdb_files import LockWait, is_lock_message, wait_until_free
from offdag.errors import DatabaseLocked, MonitorError, UsageError
from offdag.extras import require
from offdag.history.history import History
from offdag.monitor.unchanged import Unchanged
from offdag.settings import Settings

_log = logging.getLogger(__name__)

_SHOWN_LINES = 40
# For the second attempt, where the history is too large for the profile's limit.
_MORE_MEMORY = "2GB"
# DuckDB's and s3fs's messages for a file that was removed after the files were listed.
_VANISHED = re.compile(
    r"No files found that match the pattern|\.parquet\W*.{0,40}No such file|NoSuchKey|FileNotFoundError"
)


def is_vanished_file_message(text: str) -> bool:
    """Whether an error text is about a file of the history that was removed while it was read, as compaction may do."""
    return bool(_VANISHED.search(text))


def build_monitor(settings: Settings, history: History, all_tests: bool) -> datetime:
    """Run `dbt build` on the monitor project and record the run.

    Args:
        settings: Names the project, its database, the history and ``as_of``.
        history: Gets a ``monitor_runs`` row.
        all_tests: Also run the tests and unit tests that a scheduled run leaves out.

    Returns:
        ``as_of``, naive UTC.

    Raises:
        UsageError: There is no monitor project.
        DatabaseLocked: The database stayed locked.
        MonitorError: dbt failed; the error carries the end of its output.
    """
    project = settings.monitor_project_dir.absolute()
    if not (project / "dbt_project.yml").is_file():
        raise UsageError(
            "there is no monitor project",
            str(project / "dbt_project.yml"),
            "offdag monitor --monitor-project-dir monitor_project",
        )
    require("dbt.cli", "dbt.adapters.duckdb")
    as_of, started_at = settings.now, utc_now()
    database = settings.monitor_database.absolute()
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the monitor's database cannot be made: {error.strerror}",
            str(database),
            "offdag monitor --monitor-database .offdag/monitor.duckdb",
        ) from error
    observed = declare_observed_tables(history, project)
    work = database.parent / "monitor_target"
    given = _given(settings, database, observed)
    unchanged = Unchanged.of(work / "unchanged.json", database, project, given)
    build = _DbtBuild(
        _command(settings, project, work, all_tests),
        _environ(settings, given, as_of, all_tests),
        project,
        database,
        None if all_tests else unchanged,
    )
    exit_code, output = build.run_when_free(settings.wait_as("monitor"))
    history.put(
        "monitor_runs",
        started_at.date(),
        identity := uuid.uuid4().hex,
        [
            {
                "monitor_run_id": identity,
                "as_of": as_of,
                "started_at": started_at,
                "ended_at": utc_now(),
                "exit_code": exit_code,
                "offdag_version": __version__,
                "seeds": _seeds(project),
            }
        ],
    )
    if exit_code != 0:
        shown = "\n".join(output.strip().splitlines()[-_SHOWN_LINES:])
        raise MonitorError(
            f"dbt could not build the monitor (exit code {exit_code}):\n{shown}",
            str(project),
            f"tail -n 50 {work / 'logs' / 'dbt.log'}",
        )
    unchanged.note()
    if output.strip():
        _log.info("%s", output.strip())
    return as_of


def _command(settings: Settings, project: Path, work: Path, all_tests: bool) -> list[str]:
    """The child's command line; its artifacts are not written, since nothing reads them."""
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--no-use-colors", "--no-write-json"]
    command += ["--log-level", "warn", "--log-path", str(work / "logs")]
    command += ["build", "--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(work)]
    command += ["--target", "duckdb_object_store" if "://" in settings.history else "duckdb"]
    if not all_tests:
        # Last: more selectors may follow.
        command += ["--exclude-resource-type", "unit_test", "--exclude", "tag:all_tests"]
    return command


def _given(settings: Settings, database: Path, observed: list[str]) -> dict[str, str]:
    """The settings that the monitor project reads while dbt parses."""
    return {
        "OFFDAG_HISTORY": settings.history,
        "OFFDAG_MONITOR_DATABASE": str(database),
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
        "OFFDAG_MEMORY_LIMIT": settings.memory_limit,
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
        unchanged: What it need not make again; None to make all. Its selectors end the command.
    """

    command: list[str]
    environ: Mapping[str, str]
    project: Path
    database: Path
    unchanged: Unchanged | None

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
                [*self.command, *(self.unchanged.excluded() if self.unchanged else ())],
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
