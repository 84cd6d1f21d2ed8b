"""dbt on the monitor project, as a child process with an environment of its own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from offdag import __version__
from offdag.clock import utc_now
from offdag.duckdb_files import is_lock_message, wait_until_free
from offdag.errors import DatabaseLocked, MonitorError, UsageError
from offdag.history.history import History
from offdag.settings import Settings

# What the child may see of our environment: DBT_* would send it to the monitored project, or its artifacts there.
_PASSED = ("PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT", "SSL_CERT_FILE", "VIRTUAL_ENV", "PYTHONPATH")
_PASSED_PREFIXES = ("AWS_", "COVERAGE_")
_SHOWN_LINES = 40
# For the second try, where a history is too large for the profile's own limit.
_MORE_MEMORY = "2GB"
# DuckDB's and s3fs's words for a file that was there when the files were listed.
_VANISHED = re.compile(
    r"No files found that match the pattern|\.parquet\W*.{0,40}No such file|NoSuchKey|FileNotFoundError"
)


def is_vanished_file_message(text: str) -> bool:
    """Whether an error text says that a file of the history was gone, as compaction may do to a reader."""
    return bool(_VANISHED.search(text))


def build_monitor(settings: Settings, history: History, all_tests: bool, say: Callable[[str], None]) -> datetime:
    """Run `dbt build` on the monitor project and record the run.

    Args:
        settings: Names the project, its database, the history and ``as_of``.
        history: Gets a ``monitor_runs`` row.
        all_tests: Also run the tests and unit tests that a scheduled run leaves out.
        say: Gets lines for people.

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
    as_of, started_at = settings.now, utc_now()
    database = settings.monitor_database.absolute()
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"the monitor's database cannot be made: {error.strerror}",
            str(database),
            "choose another --monitor-database",
        ) from error
    work = database.parent / "monitor_target"
    command = [
        sys.executable,
        "-c",
        "from dbt.cli.main import cli; cli()",
        "--no-use-colors",
        # Nobody reads its artifacts; writing them took a twelfth of the run.
        "--no-write-json",
        "--log-level",
        "warn",
        "--log-path",
        str(work / "logs"),
    ]
    command += ["build", "--project-dir", str(project), "--profiles-dir", str(project), "--target-path", str(work)]
    command += ["--target", "duckdb_object_store" if "://" in settings.history else "duckdb"]
    if not all_tests:
        command += ["--exclude-resource-type", "unit_test", "--exclude", "tag:all_tests"]
    environ = {k: v for k, v in settings.environ.items() if k in _PASSED or k.startswith(_PASSED_PREFIXES)}
    environ |= {
        "OFFDAG_HISTORY": settings.history,
        "OFFDAG_MONITOR_DATABASE": str(database),
        "OFFDAG_MEMORY_LIMIT": settings.memory_limit,
        # A test that fails must not silence the alerts that come after it: outside of --all-tests it warns.
        "OFFDAG_TEST_SEVERITY": "error" if all_tests else "warn",
        "OFFDAG_AS_OF": as_of.isoformat(sep=" ", timespec="microseconds"),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    exit_code, output = run_when_free(command, environ, project, database, settings.lock_timeout, say)
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
            f"read {work / 'logs' / 'dbt.log'}",
        )
    if output.strip():
        say(output.strip())
    return as_of


def run_when_free(
    command: list[str],
    environ: dict[str, str],
    project: Path,
    database: Path,
    timeout: float,
    say: Callable[[str], None],
) -> tuple[int, str]:
    """Run dbt once nobody else has the database; again where somebody was faster.

    It is also repeated, once each, where a file was merged away meanwhile, and where DuckDB's memory was not enough.

    Returns:
        Exit code and output.

    Raises:
        DatabaseLocked: Another process kept taking the database up to the deadline.
    """
    deadline = time.monotonic() + timeout
    has_repeated = has_grown = False
    while True:
        wait_until_free(database, "monitor", max(0.0, deadline - time.monotonic()), say)
        done = subprocess.run(
            command, cwd=project, env=environ, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
        )
        if done.returncode != 0 and is_vanished_file_message(done.stdout) and not has_repeated:
            has_repeated = True
            say("monitor repeats: a file of the history was merged into another one while it was read")
            continue
        if done.returncode != 0 and "Out of Memory Error" in done.stdout and not has_grown:
            has_grown = True
            environ = {**environ, "OFFDAG_MEMORY_LIMIT": _MORE_MEMORY}
            say(f"monitor repeats with up to {_MORE_MEMORY} of memory: its usual limit was not enough for this history")
            continue
        if done.returncode == 0 or not is_lock_message(done.stdout):
            return done.returncode, done.stdout
        if time.monotonic() >= deadline:
            raise DatabaseLocked("another process keeps taking the monitor's database", str(database), "offdag monitor")
        say("monitor lost the database to another process, and tries again")


def _seeds(project: Path) -> str:
    """The seeds as they were, as JSON by file name: a run can be repeated as of then."""
    return json.dumps(
        {
            path.name: path.read_text(encoding="utf-8", errors="replace")
            for path in sorted((project / "seeds").glob("*.csv"))
        }
    )
