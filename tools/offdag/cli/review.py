"""Verbs for pull requests: state, diff, ci."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from offdag.cli.collect import collect_ended
from offdag.cli.verb import FORMAT, PROJECT_DIR, open_history, print_rows, say, verb
from offdag.errors import ExitCode, NoBuild, OffdagError, UsageError
from offdag.settings import Settings

if TYPE_CHECKING:
    from offdag.dbt.project import DbtProject
    from offdag.review.comparison import Comparison
    from offdag.review.review import Request, Review
    from offdag.review.state import State

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
                help="What `offdag state` wrote, here or elsewhere. Default: written anew out of the history.",
            ),
            click.option(
                "--decimals",
                type=click.IntRange(0, 15),
                default=6,
                show_default=True,
                help="Floating-point numbers that agree so far are equal.",
            ),
            click.option(
                "--samples",
                type=click.IntRange(0, 100),
                default=3,
                show_default=True,
                help="At most so many sample rows of a kind; 0 keeps data out of the output.",
            ),
        )
    ):
        function = option(function)
    return function


@verb(
    "offdag state --environment prod --project-dir inventory_project -o state",
    "history",
    "environment",
    "monitor_project_dir",
    "lock_timeout",
)
@PROJECT_DIR
@click.option("--target", help="dbt target of the DuckDB file to copy. Default: the environment's name.")
@click.option(
    "--out", "-o", type=click.Path(path_type=Path), default="state", show_default=True, help="Folder to fill."
)
def state(settings: Settings, project_dir: Path, target: str | None, out: Path) -> int:
    """Write an environment's last build for dbt's --state and --defer: manifest, run_results, sources; on DuckDB its file too."""
    from offdag.review.state import copy_production

    environment = settings.environment or "prod"
    project = _project(settings, project_dir)
    _written_state(settings, project, environment, out)
    copy_production(project, target or environment, out, settings.lock_timeout, say)
    files = sorted(path.name for path in out.iterdir())
    say(f"wrote {len(files)} files into {out}: {', '.join(files)}")
    return ExitCode.OK


@verb(
    "offdag diff --from prod --to ci --project-dir inventory_project", "history", "monitor_project_dir", "lock_timeout"
)
@_review_options
@click.option(
    "--fail-on",
    type=click.Choice(["schema", "rows", "none"]),
    default="none",
    show_default=True,
    help="Exit with 1 where columns differ, or also where rows do.",
)
@FORMAT
def diff(
    settings: Settings,
    project_dir: Path,
    production: str,
    target: str,
    state_folder: Path | None,
    decimals: int,
    samples: int,
    fail_on: str,
    output: str,
) -> int:
    """Compare the tables that the last build here made with production's, by key where the project tells one."""
    from offdag.review.build import Build
    from offdag.review.review import Request, review
    from offdag.review.state import State

    project = _project(settings, project_dir)
    build = Build.read(project.target_path())
    if build.environment != target:
        raise UsageError(
            f"the last build here was for {build.environment or 'an unknown target'}, not {target}",
            str(project.target_path()),
            f"offdag run -e {target} --project-dir {project_dir} -- dbt build --target {target}",
        )
    request = Request(production, target, decimals, samples, settings.lock_timeout)
    with tempfile.TemporaryDirectory(prefix="offdag-state-") as folder:
        if state_folder:
            known = State.of(state_folder)
        else:
            known = _with_copy(settings, project, request, _written_state(settings, project, production, Path(folder)))
        found = review(project, request, build, known, say)
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
    say(
        f"compared {len(found.comparisons)} tables: {differing} differ, {problems} could not be compared; "
        f"{len(found.unchanged)} unchanged and {len(found.not_compared)} others were not compared"
    )
    if found.is_blind:
        return ExitCode.UNREADABLE
    return ExitCode.PROBLEMS if _fails(found, fail_on) else ExitCode.OK


@verb(
    "offdag ci --from prod --to ci --project-dir inventory_project -- dbt build --target ci",
    "history",
    "project",
    "monitor_project_dir",
    "lock_timeout",
)
@_review_options
@click.option("--full", is_flag=True, help="Build everything, also where production's state is known.")
@click.option(
    "--fail-on",
    type=click.Choice(["tests", "schema", "rows", "none"]),
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
    help="Folder for summary.md and junit.xml.",
)
@click.argument("command", nargs=-1)
def ci(
    settings: Settings,
    project_dir: Path,
    production: str,
    target: str,
    state_folder: Path | None,
    decimals: int,
    samples: int,
    full: bool,
    fail_on: str,
    out: Path,
    command: tuple[str, ...],
) -> int:
    """Build what changed in a database of its own, compare it with production, and write one summary for reviewers.

    COMMAND is the build, `dbt build --target ci` where none is given. Where production's state is known, and its tables can be
    deferred to, `--select state:modified+ --defer` is added to it.
    """
    from offdag.dbt.process import run_dbt
    from offdag.review.annotations import workflow_commands
    from offdag.review.build import Build
    from offdag.review.command import build_command
    from offdag.review.junit import write_junit
    from offdag.review.review import Request, review, review_alone
    from offdag.review.summary import summary

    if production == target:
        raise UsageError(
            "a build is not compared with itself", f"--from {production} --to {target}", "offdag ci --to ci"
        )
    project = _project(settings, project_dir)
    request = Request(production, target, decimals, samples, settings.lock_timeout)
    build_of_target = build_command(command, target)
    out.mkdir(parents=True, exist_ok=True)
    # Of an earlier review, which must not pass for this one's.
    for name in ("summary.md", "junit.xml"):
        (out / name).unlink(missing_ok=True)
    known, is_blind, remarks = _known_state(settings, project, request, state_folder, out)
    narrowed, told = _narrowed(project, request, known, build_of_target, full)
    remarks += told
    for remark in remarks:
        say(remark)
    settings = replace(settings, environment=target)
    if known and known.database:
        # For the profile, which attaches the copy under production's name.
        database = {"OFFDAG_STATE_DATABASE": str(known.database.resolve())}
        settings = replace(settings, environ={**settings.environ, **database})
    ended = run_dbt(settings, project_dir, narrowed)
    collect_ended(settings, ended, observes=False)
    build = Build.read(ended.target_path) if ended.left_results else None
    write_junit(project.name or "dbt", build, out / "junit.xml")
    if build and settings.github_workspace:
        for line in workflow_commands(build, project.folder, settings.github_workspace):
            click.echo(line)
    found = None
    if build:
        found = review(project, request, build, known, say) if known else review_alone(build, is_blind)
    if known and not state_folder:
        known.drop_database()
    is_refused = bool(found and _fails(found, fail_on))
    text = summary(project.name or "dbt", ended.exit_code, found, remarks, is_refused)
    (out / "summary.md").write_text(text, encoding="utf-8")
    if settings.github_summary:
        with settings.github_summary.open("a", encoding="utf-8") as file:
            file.write(text)
    compared = len(found.comparisons) if found else 0
    say(
        f"reviewed the build of {project.name}: dbt ended with {ended.exit_code}, {compared} tables compared; "
        f"{out}/summary.md"
    )
    return _exit_code(ended.exit_code, is_refused, fail_on)


def _exit_code(dbt_code: int, is_refused: bool, fail_on: str) -> int:
    """The code of dbt; for `none` only where dbt did not handle the failure itself."""
    if dbt_code:
        return ExitCode.OK if fail_on == "none" and dbt_code == 1 else dbt_code
    return ExitCode.PROBLEMS if is_refused else ExitCode.OK


def _fails(found: Review, fail_on: str) -> bool:
    """What could not be compared may differ."""
    by_level = {
        "schema": found.has_schema_changes or found.has_problems,
        "rows": found.has_schema_changes or found.has_row_changes or found.has_problems,
    }
    return by_level.get(fail_on, False)


def _narrowed(
    project: DbtProject, request: Request, known: State | None, command: list[str], full: bool
) -> tuple[list[str], list[str]]:
    """The command with the flags of a slim build, and what a reviewer has to know of it."""
    from offdag.review.command import selects, slim_flags

    if full:
        return command, ["Everything is built, as asked by --full."]
    flags, why_none = slim_flags(project, request.production, request.target, known, command)
    if why_none is None:
        return [*command, *flags], []
    return command, [f"{'The command selects by itself' if selects(command) else 'Everything is built'}: {why_none}."]


def _known_state(
    settings: Settings, project: DbtProject, request: Request, folder: Path | None, out: Path
) -> tuple[State | None, bool, list[str]]:
    """Production's state, whether there is one that could not be read, and what to say: the build comes first in any case."""
    from offdag.review.state import State

    if folder:
        return State.of(folder), False, []
    try:
        known = _written_state(settings, project, request.production, out / "state")
    except NoBuild:
        return None, False, []
    except OffdagError as problem:
        return None, True, [f"Production's state could not be read: {problem.what} ({problem.where})."]
    try:
        return _with_copy(settings, project, request, known), False, []
    except OffdagError as problem:
        return known, False, [f"Production's database could not be copied: {problem.what} ({problem.where})."]


def _written_state(settings: Settings, project: DbtProject, environment: str, folder: Path) -> State:
    """The artifacts of production's last build, in a folder.

    Raises:
        NoBuild: The history has none.
    """
    from offdag.review.state import State, write_state

    history = open_history(settings)
    generated_at = write_state(history, settings.project or project.name or "", environment, folder)
    if generated_at is None:
        raise NoBuild(
            f"the history has no build of {environment} with its manifest",
            settings.history,
            f"offdag run -e {environment} --project-dir {project.folder} -- dbt build --target {environment}",
        )
    say(f"production's last build in the history: {environment}, {generated_at:%Y-%m-%d %H:%M:%S} UTC")
    return State(folder, None)


def _with_copy(settings: Settings, project: DbtProject, request: Request, known: State) -> State:
    """The state with a copy of production's file; on a server production is read where it is."""
    from offdag.review.state import copy_production, duckdb_path

    if duckdb_path(project, request.target) is None:
        return known
    copy = copy_production(project, request.production, known.folder, settings.lock_timeout, say)
    return replace(known, database=copy)


def _project(settings: Settings, project_dir: Path) -> DbtProject:
    from offdag.dbt.project import DbtProject

    if not (project_dir / "dbt_project.yml").is_file():
        raise UsageError("there is no dbt project", str(project_dir), "offdag ci --project-dir inventory_project")
    return DbtProject(project_dir, settings.environ)


def _row(c: Comparison) -> dict[str, str]:
    """A comparison for the terminal; what is not known is called so."""
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
