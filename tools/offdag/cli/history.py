"""Verbs that look after the history: verdicts, load, compact, rebuild, prune."""

from __future__ import annotations

import re
import sys
from datetime import timedelta
from pathlib import Path

import click

from offdag.cli.verb import FORMAT, PROJECT_DIR, open_history, print_rows, say, verb
from offdag.clock import utc_now
from offdag.errors import ExitCode, HistoryError, UsageError
from offdag.settings import Settings


@verb("offdag verdicts --format json", "history", "monitor_project_dir")
@click.option(
    "--limit", type=click.IntRange(1), default=25, show_default=True, help="Show this many, the newest first."
)
@FORMAT
def verdicts(settings: Settings, limit: int, output: str) -> int:
    """Show what became of each artifact that was found."""
    rows = open_history(settings).read("artifact_verdicts").sort_by([("collected_at", "descending")]).to_pylist()
    print_rows(
        rows[:limit],
        ["collected_at", "project", "environment", "path", "kind", "verdict", "reason"],
        output,
        "nothing was collected yet",
    )
    say(f"{min(limit, len(rows))} of {len(rows)} verdicts shown")
    return ExitCode.OK


@verb("offdag load --project-dir my_project --target prod", "history", "monitor_project_dir")
@PROJECT_DIR
@click.option("--target", help="Target of the dbt profile. Default: the profile's own.")
@click.option("--schema", default="offdag", show_default=True, help="Schema that gets the tables.")
def load(settings: Settings, project_dir: Path, target: str | None, schema: str) -> int:
    """Copy the history's tables into Postgres, through a dbt profile; again, only the dates that gained files."""
    from offdag.dbt.project import DbtProject
    from offdag.export.postgres import load as load_history

    project = DbtProject(project_dir, settings.environ)
    # How many dates there are to replace is not known before they are compared.
    with click.progressbar(length=0, label="loading", file=sys.stderr, show_eta=False, show_pos=True) as bar:
        done = load_history(open_history(settings), project, target, schema, lambda: bar.update(1))
    say(
        f"loaded {done.rows:,} rows into the schema {schema}: {done.dates} dates of tables replaced, {done.unchanged} as before"
    )
    return ExitCode.OK


@verb("offdag compact", "history", "monitor_project_dir")
def compact(settings: Settings) -> int:
    """Merge the small files of every closed day; collect does it for the last days by itself."""
    from offdag.history.compaction import compact as compact_history

    done = compact_history(open_history(settings), utc_now())
    say(
        f"compacted {settings.history}: {done.merged} files merged into {done.written}, "
        f"{done.removed} removed that were merged an hour ago or more"
    )
    return ExitCode.OK


@verb("offdag rebuild", "history", "monitor_project_dir")
@click.option("--write", is_flag=True, help="Put the rebuilt rows in place of those that differ.")
@FORMAT
def rebuild(settings: Settings, write: bool, output: str) -> int:
    """Make the tables anew from the raw artifacts, and show whether they equal what is there."""
    from offdag.collect.rebuild import rebuild as rebuild_history

    history = open_history(settings)
    # How many there are is not known before they are listed.
    with click.progressbar(length=0, label="rebuilding", file=sys.stderr, show_eta=False, show_pos=True) as bar:
        tables = rebuild_history(history, write, utc_now(), lambda: bar.update(1))
    print_rows(
        [vars(table) for table in tables], ["table", "there", "rebuilt", "missing", "extra"], output, "no tables"
    )
    unequal = [table.table for table in tables if not table.is_equal]
    if unequal and not write:
        raise HistoryError(
            f"{len(unequal)} of {len(tables)} tables are not what the raw artifacts give: {', '.join(unequal)}",
            settings.history,
            "offdag rebuild --write",
        )
    say(f"rebuilt {len(tables)} tables: {len(tables) - len(unequal)} as they were, {len(unequal)} put right")
    return ExitCode.OK


@verb("offdag prune --keep 400d", "history", "monitor_project_dir")
@click.option("--keep", required=True, help="Days of runs to keep, such as 400d.")
def prune(settings: Settings, keep: str) -> int:
    """Remove the runs of older dates, raw artifacts included. What was said in Slack, and what newer runs refer to, stays."""
    from offdag.history.retention import prune as prune_history

    match = re.fullmatch(r"(\d{1,5})d", keep)
    if match is None or not int(match[1]):
        raise UsageError("the time to keep is not a number of days", f"--keep {keep}", "offdag prune --keep 400d")
    before = utc_now().date() - timedelta(days=int(match[1]))
    removed = prune_history(open_history(settings), before)
    told = ", ".join(f"{count} of {table}" for table, count in sorted(removed.items()))
    say(f"pruned what is older than {before}: {removed.total()} files removed{f' ({told})' if told else ''}")
    return ExitCode.OK
