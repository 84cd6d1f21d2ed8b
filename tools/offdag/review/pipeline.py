"""The body of `offdag ci`, `offdag diff` and `offdag state`: state, build, comparison, and the files for reviewers."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from offdag.collect.run import RunOutcome, run_and_collect
from offdag.dbt.command import DbtInvocation, selects
from offdag.dbt.project import checked_project
from offdag.dbt.signals import SignalRelay
from offdag.environment import UNKNOWN
from offdag.errors import ExitCode, NoBuild, OffdagError, UsageError
from offdag.history.history import History
from offdag.review.annotations import workflow_commands
from offdag.review.build import Build
from offdag.review.command import build_command, slim_flags
from offdag.review.junit import write_junit
from offdag.review.review import Request, Review, review, review_alone
from offdag.review.state import State, with_database, write_state
from offdag.review.summary import summary
from offdag.settings import Settings

_log = logging.getLogger(__name__)

_EXAMPLE = "offdag ci --project-dir inventory_project"


@dataclass(frozen=True)
class ReviewOptions:
    """What the flags of `diff` and `ci` choose.

    Attributes:
        project_dir: Folder of the dbt project.
        production: Production's environment and dbt target.
        target: The review's dbt target.
        state_folder: What `offdag state` wrote; None to write it from the history.
        decimals: Places up to which floating-point numbers have to agree.
        samples: Most sample rows of a kind.
        fail_on: tests, schema, rows or none.
        full: Build everything, also where production's state is known.
        out: Folder for summary.md and junit.xml.
        command: The build; empty for `dbt build` with the target.
    """

    project_dir: Path
    production: str
    target: str
    state_folder: Path | None
    decimals: int
    samples: int
    fail_on: str
    full: bool = False
    out: Path = Path(".offdag/ci")
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReviewResult:
    """The result of a reviewed build.

    Attributes:
        outcome: How dbt ended.
        review: What was found; None where dbt left no results.
        is_refused: ``fail_on`` does not allow what differs, or what could not be compared.
        exit_code: dbt's own; or what ``fail_on`` makes of it.
    """

    outcome: RunOutcome
    review: Review | None
    is_refused: bool
    exit_code: int


@dataclass(frozen=True)
class _KnownState:
    """Production's state, as far as it could be read: the build runs in any case.

    Attributes:
        state: None where there is none.
        is_blind: There is a production, and its state could not be read.
        remarks: For the reviewers.
    """

    state: State | None
    is_blind: bool = False
    remarks: tuple[str, ...] = ()


def export_state(settings: Settings, project_dir: Path, target: str | None, out: Path) -> State:
    """Write an environment's last build into a folder, and on DuckDB a copy of its file.

    Raises:
        NoBuild: The history has no such build.
        UsageError: There is no project, target or profile, or the folder holds other files.
    """
    environment = settings.environment or "prod"
    invocation = _invocation(settings, project_dir, target or environment)
    state = write_state(_history(settings), _project_name(settings, invocation), environment, out)
    return with_database(state, invocation, settings.wait_as("state"))


def compare_last_build(settings: Settings, options: ReviewOptions) -> Review:
    """Compare the tables that the last build in a project made with production's.

    Raises:
        UsageError: There is no build for the target, or no state.
    """
    request = _request(settings, options)
    build = Build.read(request.review.target_path)
    if build.environment != options.target:
        built_for = "an unknown target" if build.environment == UNKNOWN else build.environment
        raise UsageError(
            f"the last build here was for {built_for}, not {options.target}",
            str(request.review.target_path),
            f"offdag run -e {options.target} --project-dir {options.project_dir} -- dbt build --target {options.target}",
        )
    with tempfile.TemporaryDirectory(prefix="offdag-state-") as folder:
        if options.state_folder:
            state = State.of(options.state_folder)
        else:
            project = _project_name(settings, request.review)
            state = write_state(_history(settings), project, options.production, Path(folder))
            state = _with_database(state, request)
        return review(request, build, state)


def review_change(settings: Settings, options: ReviewOptions, show: Callable[[str], None]) -> ReviewResult:
    """Build what changed, compare it with production, and write summary.md and junit.xml.

    Args:
        settings: The build is recorded under the review's target.
        options: From the command line.
        show: Gets GitHub's workflow commands.

    Raises:
        UsageError: There is no project, or production and review are the same.
    """
    if options.production == options.target:
        raise UsageError(
            "a build is not compared with itself",
            f"--from {options.production} --to {options.target}",
            "offdag ci --to ci",
        )
    request = _request(settings, options)
    command = build_command(options.command, options.target)
    options.out.mkdir(parents=True, exist_ok=True)
    # Files of an earlier review must not be mistaken for this one's.
    for name in ("summary.md", "junit.xml"):
        (options.out / name).unlink(missing_ok=True)
    known = _known_state(settings, request, options)
    command, narrowing = _narrowed(request, known.state, command, options.full)
    remarks = [*known.remarks, *narrowing]
    for remark in remarks:
        _log.info("%s", remark)
    settings = replace(settings, environment=options.target)
    if known.state and known.state.database:
        # For the profile, which attaches the copy under production's name.
        database = {"OFFDAG_STATE_DATABASE": str(known.state.database.resolve())}
        settings = replace(settings, environ={**settings.environ, **database})
    project = request.review.project_name or "dbt"
    found = None
    try:
        with SignalRelay() as relay:
            outcome = run_and_collect(settings, options.project_dir, command, relay, observes=False)
        build = Build.read(outcome.start.invocation.target_path) if outcome.left_results else None
        # Before the comparison, which can fail: the results of the build are known.
        write_junit(project, build, options.out / "junit.xml")
        if build and settings.github_workspace:
            for line in workflow_commands(build, request.review.project_dir, settings.github_workspace):
                show(line)
        if build and not relay.stopped_by:
            found = review(request, build, known.state) if known.state else review_alone(build, known.is_blind)
    finally:
        if known.state and not options.state_folder:
            known.state.drop_database()
    is_refused = bool(found and is_refused_by(found, options.fail_on))
    text = summary(project, outcome.exit_code, found, remarks, is_refused)
    (options.out / "summary.md").write_text(text, encoding="utf-8")
    if settings.github_summary:
        with settings.github_summary.open("a", encoding="utf-8") as file:
            file.write(text)
    return ReviewResult(outcome, found, is_refused, _exit_code(outcome.exit_code, is_refused, options.fail_on))


def is_refused_by(found: Review, fail_on: str) -> bool:
    """Whether ``--fail-on`` refuses a review; what could not be compared may differ."""
    by_level = {
        "schema": found.has_schema_changes or found.has_problems,
        "rows": found.has_schema_changes or found.has_row_changes or found.has_problems,
    }
    return by_level.get(fail_on, False)


def _exit_code(dbt_code: int, is_refused: bool, fail_on: str) -> int:
    """Dbt's code; for ``none`` only where dbt did not handle the failure itself."""
    if dbt_code:
        return ExitCode.OK if fail_on == "none" and dbt_code == 1 else dbt_code
    return ExitCode.PROBLEMS if is_refused else ExitCode.OK


def _known_state(settings: Settings, request: Request, options: ReviewOptions) -> _KnownState:
    if options.state_folder:
        return _KnownState(State.of(options.state_folder))
    project = _project_name(settings, request.review)
    try:
        state = write_state(History(settings.history), project, options.production, options.out / "state")
    except NoBuild:
        return _KnownState(None)
    except OffdagError as problem:
        remark = f"Production's state could not be read: {problem.what} ({problem.where})."
        return _KnownState(None, is_blind=True, remarks=(remark,))
    try:
        return _KnownState(_with_database(state, request))
    except OffdagError as problem:
        remark = f"Production's database could not be copied: {problem.what} ({problem.where})."
        return _KnownState(state, remarks=(remark,))


def _with_database(state: State, request: Request) -> State:
    """On a server production is read where it is, so nothing is copied."""
    if request.review.connection("type").get("type") != "duckdb":
        return state
    return with_database(state, request.production, request.wait)


def _narrowed(request: Request, state: State | None, command: list[str], full: bool) -> tuple[list[str], list[str]]:
    """The command with the flags of a slim build, and a remark where it has none."""
    if full:
        return command, ["Everything is built, as --full asks."]
    try:
        flags, why_none = slim_flags(request.production, request.review, state, command)
    except UsageError as problem:
        flags, why_none = [], f"{problem.what} ({problem.where})"
    if why_none is None:
        return [*command, *flags], []
    return command, [
        f"{'The command has its own selection' if selects(command) else 'Everything is built'}: {why_none}."
    ]


def _request(settings: Settings, options: ReviewOptions) -> Request:
    return Request(
        production=_invocation(settings, options.project_dir, options.production),
        review=_invocation(settings, options.project_dir, options.target),
        decimals=options.decimals,
        samples=options.samples,
        wait=settings.wait_as("diff"),
    )


def _invocation(settings: Settings, project_dir: Path, target: str) -> DbtInvocation:
    checked_project(project_dir, settings.environ, _EXAMPLE)
    return replace(DbtInvocation.parse((), project_dir, settings.environ), target=target)


def _project_name(settings: Settings, invocation: DbtInvocation) -> str:
    return settings.project or invocation.project_name or ""


def _history(settings: Settings) -> History:
    return History.open_existing(settings.history)
