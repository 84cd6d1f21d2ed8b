"""Verbs that show and maintain the history: runs, verdicts, load, compact, rebuild, prune."""

from __future__ import annotations

import logging
import re
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from offdag.cli.output import FORMAT, age, no_commands, print_rows, printable, sparkline
from offdag.cli.verb import PROJECT_DIR, TARGET, verb
from offdag.clock import utc_now
from offdag.errors import ExitCode, HistoryError, UsageError
from offdag.settings import Settings

_log = logging.getLogger(__name__)


_LIMIT = click.option(
    "--limit", type=click.IntRange(1), default=25, show_default=True, help="Show this many, the newest first."
)


@verb("offdag runs --log", "history")
@_LIMIT
@click.option("--log", "with_log", is_flag=True, help="Also show how dbt's log of the newest run without results ends.")
@FORMAT
def runs(settings: Settings, limit: int, with_log: bool, output: str) -> int:
    """Show the commands that `offdag run` started, and how each ended; without an end it runs on, or was killed with its collector."""
    from offdag.history.history import History

    history = History.open_existing(settings.history)
    ended = {row["job_run_id"]: row for row in history.read("job_runs").to_pylist()}
    # A command without an end runs on, or its collector was killed with it.
    started = {row["job_run_id"]: {**row, "log_tail": None} for row in history.read("job_starts").to_pylist()}
    rows = sorted({**started, **ended}.values(), key=lambda row: row["started_at"], reverse=True)
    shown = rows[:limit]
    if output != "json":
        shown = [{**row, **_summary(row, rows)} for row in shown]
    print_rows(shown, ["started", "end", "took", "before", "what"], output, "offdag run was not used yet", width=80)
    # JSON has the log of each.
    if with_log and output != "json":
        logged = next((row for row in rows if row["log_tail"]), None)
        if logged:
            click.echo(f"{logged['started_at']:%Y-%m-%d %H:%M:%S} UTC: {printable(logged['command'])}")
        click.echo(
            no_commands(printable(logged["log_tail"], keep="\n")) if logged else "no run without results has a log"
        )
    _log.info("%d of %d runs shown", min(limit, len(rows)), len(rows))
    return ExitCode.OK


def _summary(row: dict[str, Any], rows: list[dict[str, Any]]) -> dict[str, str]:
    """What one line of ``offdag runs`` shows, with the lengths of the newest runs of the same command up to this one."""
    same = ("project", "environment", "command")
    alike = [r for r in rows if all(r[c] == row[c] for c in same) and r["started_at"] <= row["started_at"]][:8]
    lengths = [_seconds(r) for r in reversed(alike)]
    has_ended = row.get("ended_at") is not None
    end = row["signal"] or f"exit {row['exit_code']}" if has_ended else "no end"
    what = f"{row['command']}\n{row['project'] or 'unknown'} ({row['environment']})"
    return {
        "started": f"{row['started_at']:%Y-%m-%d %H:%M}",
        "end": end + ("" if not has_ended or row["has_results"] else ", no results"),
        "took": age(_seconds(row)),
        "before": sparkline(lengths),
        "what": what + (f"\n{row['error_line']}" if row.get("error_line") else ""),
    }


def _seconds(row: dict[str, Any]) -> float | None:
    ended_at = row.get("ended_at")
    return (ended_at - row["started_at"]).total_seconds() if ended_at else None


@verb("offdag verdicts --format json", "history")
@_LIMIT
@FORMAT
def verdicts(settings: Settings, limit: int, output: str) -> int:
    """Show the verdict on each artifact that was found."""
    from offdag.history.history import History

    history = History.open_existing(settings.history)
    rows = history.read("artifact_verdicts").sort_by([("collected_at", "descending")]).to_pylist()
    columns = ["collected_at", "project", "environment", "path", "kind", "verdict", "reason"]
    print_rows(rows[:limit], columns, output, "nothing was collected yet")
    _log.info("%d of %d verdicts shown", min(limit, len(rows)), len(rows))
    return ExitCode.OK


@verb("offdag load --project-dir my_project --target prod", "history")
@PROJECT_DIR
@TARGET
@click.option("--schema", default="offdag", show_default=True, help="Schema that gets the tables.")
def load(settings: Settings, project_dir: Path, target: str | None, schema: str) -> int:
    """Copy the history's tables into Postgres, through a dbt profile; a second time, only the dates that changed."""
    from offdag.dbt.command import DbtInvocation
    from offdag.export.postgres import load as load_history
    from offdag.history.history import History

    invocation = DbtInvocation.parse((), project_dir, settings.environ)
    invocation = replace(invocation, target=target or invocation.target)
    history = History.open_existing(settings.history)
    # How many dates there are to replace is not known before they are compared.
    with click.progressbar(length=0, label="loading", file=sys.stderr, show_eta=False, show_pos=True) as bar:
        summary = load_history(history, invocation, schema, lambda: bar.update(1))
    _log.info(
        "loaded %s rows into the schema %s: dates of tables: %d replaced, %d unchanged",
        f"{summary.rows:,}",
        schema,
        summary.replaced,
        summary.unchanged,
    )
    return ExitCode.OK


@verb("offdag compact", "history")
def compact(settings: Settings) -> int:
    """Merge the small files of every closed day; collect does it for the last days."""
    from offdag.history.compaction import compact as compact_history
    from offdag.history.history import History

    done = compact_history(History(settings.history), utc_now())
    _log.info(
        "compacted %s: %d files merged into %d, %d removed that were merged an hour ago or more",
        settings.history,
        done.merged,
        done.written,
        done.removed,
    )
    return ExitCode.OK


@verb("offdag rebuild", "history")
@click.option("--write", is_flag=True, help="Put the rebuilt rows in place of those that differ.")
@FORMAT
def rebuild(settings: Settings, write: bool, output: str) -> int:
    """Rebuild the tables from the raw artifacts, and show whether the existing ones are equal."""
    from offdag.collect.rebuild import rebuild as rebuild_history
    from offdag.dbt.redaction import secret_values
    from offdag.history.history import History

    secrets = secret_values(settings.environ, *settings.secrets)
    history = History(settings.history) if write else History.open_existing(settings.history)
    # How many artifacts there are is not known before they are listed.
    with click.progressbar(length=0, label="rebuilding", file=sys.stderr, show_eta=False, show_pos=True) as bar:
        tables = rebuild_history(history, write, utc_now(), secrets, lambda: bar.update(1))
    columns = ["table", "existing", "rebuilt", "missing", "extra"]
    print_rows([vars(table) for table in tables], columns, output, "no tables")
    unequal = [table.table for table in tables if not table.is_equal]
    if unequal and not write:
        raise HistoryError(
            f"{len(unequal)} of {len(tables)} tables differ from the raw artifacts: {', '.join(unequal)}",
            settings.history,
            "offdag rebuild --write",
        )
    _log.info("rebuilt %d tables: %d equal, %d replaced", len(tables), len(tables) - len(unequal), len(unequal))
    return ExitCode.OK


@verb("offdag prune --keep 400d", "history")
@click.option("--keep", required=True, help="Days of runs to keep, such as 400d.")
def prune(settings: Settings, keep: str) -> int:
    """Remove the runs of older dates with their raw artifacts. What was delivered, and what newer runs refer to, stays."""
    from offdag.history.history import History
    from offdag.history.retention import prune as prune_history

    match = re.fullmatch(r"(\d{1,5})d", keep)
    if match is None or not int(match[1]):
        raise UsageError("the time to keep is not a number of days", f"--keep {keep}", "offdag prune --keep 400d")
    before = utc_now().date() - timedelta(days=int(match[1]))
    removed = prune_history(History.open_existing(settings.history), before)
    tables = ", ".join(f"{count} of {table}" for table, count in sorted(removed.items()))
    _log.info(
        "pruned what is older than %s: %d files removed%s", before, removed.total(), f" ({tables})" if tables else ""
    )
    return ExitCode.OK
