"""Verbs for pull requests: state, diff, ci."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offdag.cli.output import FORMAT, print_rows
from offdag.cli.verb import PROJECT_DIR, verb
from offdag.errors import ExitCode
from offdag.settings import Settings

if TYPE_CHECKING:
    from offdag.review.figures import Comparison

_log = logging.getLogger(__name__)

_Decorated = Callable[..., Any]


def _review_options(function: _Decorated) -> _Decorated:
    """The flags that `diff` and `ci` share."""
    for option in reversed(
        (
            PROJECT_DIR,
            click.option(
                "--from",
                "production",
                default="prod",
                show_default=True,
                help="Production: environment and dbt target.",
            ),
            click.option(
                "--to", "target", default="ci", show_default=True, help="The build to review: its dbt target."
            ),
            click.option(
                "--state",
                "state_folder",
                type=click.Path(path_type=Path),
                help="Folder that `offdag state` wrote. Default: written from the history.",
            ),
            click.option(
                "--decimals",
                type=click.IntRange(0, 15),
                default=6,
                show_default=True,
                help="Floating-point numbers that agree to this many places are equal.",
            ),
            click.option(
                "--samples",
                type=click.IntRange(0, 100),
                default=0,
                show_default=True,
                help="Most sample rows of a kind, and values that were mapped; 0 keeps values of rows out of the output.",
            ),
            click.option(
                "--hide",
                multiple=True,
                metavar="COLUMN",
                help="Never show values of this column, as of those with meta: {pii: true}. May be repeated.",
            ),
            click.option(
                "--base",
                help="Branch that the change will be merged into. Default: what the CI system names, else the main branch.",
            ),
        )
    ):
        function = option(function)
    return function


@verb(
    "offdag state --environment prod --project-dir inventory_project -o state",
    "history",
    "environment",
    "lock_timeout",
)
@PROJECT_DIR
@click.option("--target", help="dbt target of the DuckDB file to copy. Default: the environment's name.")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), default="state", show_default=True, help="Folder to fill."
)
def state(settings: Settings, project_dir: Path, target: str | None, out: Path) -> int:
    """Write an environment's last build for dbt's --state and --defer: manifest, run_results, sources; on DuckDB its file too."""
    from offdag.review.pipeline import export_state

    export_state(settings, project_dir, target, out)
    files = sorted(path.name for path in out.iterdir())
    _log.info("wrote %d files into %s: %s", len(files), out, ", ".join(files))
    return ExitCode.OK


@verb("offdag diff --from prod --to ci --project-dir inventory_project", "history", "lock_timeout")
@_review_options
@click.option(
    "--fail-on",
    type=click.Choice(["breaking", "schema", "rows", "none"]),
    default="none",
    show_default=True,
    help="Exit with 1 where columns differ, or also where rows do.",
)
@FORMAT
def diff(settings: Settings, output: str, **options: Any) -> int:
    """Compare the tables that the last build here made with production's, by key where the project names one."""
    from offdag.review.pipeline import ReviewOptions, compare_last_build, is_refused_by

    chosen = ReviewOptions(**options)
    found = compare_last_build(settings, chosen)
    if output == "json":
        click.echo(json.dumps([asdict(c) for c in found.comparisons], indent=2))
    else:
        columns = ["model", "key", "before", "after", "added", "removed", "changed", "columns", "schema", "problem"]
        print_rows([_row(c) for c in found.comparisons], columns, output, "no table had to be compared")
        for comparison in found.comparisons:
            for remark in comparison.remarks:
                click.echo(f"{comparison.unique_id}: {remark}")
    differing = sum(c.has_row_changes or c.has_schema_changes for c in found.comparisons)
    problems = sum(c.problem is not None for c in found.comparisons)
    _log.info(
        "compared %d tables: %d differ, %d could not be compared; %d unchanged and %d others were not compared",
        len(found.comparisons),
        differing,
        problems,
        len(found.unchanged),
        len(found.not_compared),
    )
    if found.is_blind:
        return ExitCode.UNREADABLE
    return ExitCode.PROBLEMS if is_refused_by(found, chosen.fail_on) else ExitCode.OK


@verb(
    "offdag ci --from prod --to ci --project-dir inventory_project -- dbt build --target ci",
    "history",
    "project",
    "lock_timeout",
)
@_review_options
@click.option("--full", is_flag=True, help="Build everything, also where production's state is known.")
@click.option(
    "--full-refresh",
    is_flag=True,
    help="Build incremental models and snapshots from nothing. Default: on a copy of production's table, as production will.",
)
@click.option(
    "--allow-shared",
    multiple=True,
    metavar="RELATION",
    help="The build may write this relation of production, such as raw.rates or raw.*. May be repeated.",
)
@click.option(
    "--comment", is_flag=True, help="Write the summary as one comment of the pull request, and keep it up to date."
)
@click.option(
    "--failing-rows",
    type=click.IntRange(0, 50),
    default=0,
    show_default=True,
    help="Most rows to show of each failed test, without hidden columns.",
)
@click.option("--drop", is_flag=True, help="Only remove the schemas of the pull request, when it is closed.")
@click.option("--read-only", is_flag=True, help="Write nothing into the history: for forks, whose code is not trusted.")
@click.option(
    "--fail-on",
    type=click.Choice(["tests", "breaking", "schema", "rows", "none"]),
    default="tests",
    show_default=True,
    help="End with an error where the build fails; also where columns differ from production; also where rows do; never.",
)
@click.option(
    "--out",
    "-o",
    type=click.Path(path_type=Path),
    default=Path(".offdag/ci"),
    show_default=True,
    help="Folder for summary.md, summary.html, review.json and junit.xml.",
)
@click.argument("command", nargs=-1)
def ci(settings: Settings, drop: bool, **options: Any) -> int:
    """Build what changed in a separate database, compare it with production, and write one summary for reviewers.

    COMMAND is the build; `dbt build --target ci` where none is given. Where production's state is known, and its tables can be
    deferred to, `--select state:modified+ --defer` is added to it.
    """
    from offdag.review.pipeline import ReviewOptions, drop_review, review_change

    chosen = ReviewOptions(**options)
    if drop:
        removed = drop_review(settings, chosen)
        _log.info("removed %s", ", ".join(removed) or "nothing: the pull request has no schemas")
        return ExitCode.OK
    result = review_change(settings, chosen, click.echo)
    _log.info(
        "reviewed the build: dbt ended with %d, %d tables compared; %s/summary.md",
        result.dbt_exit_code,
        len(result.review.comparisons) if result.review else 0,
        chosen.out,
    )
    return result.exit_code


def _row(c: Comparison) -> dict[str, str]:
    """A comparison for the terminal; what is not known is shown as unknown."""
    unknown = {"before": c.before, "after": c.after, "added": c.added, "removed": c.removed}
    changes = [
        *(f"+{name} {kind}" for name, kind in c.added_columns.items()),
        *(f"-{name}" for name in c.removed_columns),
        *(f"{name} {before} to {after}" for name, (before, after) in c.retyped_columns.items()),
    ]
    return {
        "model": c.unique_id,
        "key": ", ".join(c.key) or "none",
        **{name: "unknown" if count is None else f"{count:,}" for name, count in unknown.items()},
        "changed": f"{c.changed:,}" if c.changed is not None else "unknown" if c.problem else "no key",
        "columns": ", ".join(f"{name} {rows:,}" for name, rows in c.columns.items()),
        "schema": ", ".join(changes),
        "problem": c.problem or "",
    }
