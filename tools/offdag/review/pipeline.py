"""The body of `offdag ci`, `offdag diff` and `offdag state`: state, build, comparison, and the files for reviewers."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from offdag.dbt.command import DbtInvocation, selects
from offdag.dbt.project import checked_project
from offdag.environment import UNKNOWN
from offdag.errors import DeliveryError, ExitCode, NoBuild, OffdagError, UsageError
from offdag.history.history import History
from offdag.monitor.project import project_vars
from offdag.review.annotations import workflow_commands
from offdag.review.base import Base, base_of
from offdag.review.build import Build
from offdag.review.building import Builder
from offdag.review.command import build_command, slim_flags, unseen_changes
from offdag.review.comment import mark_of, write_comment
from offdag.review.document import document
from offdag.review.figures import Precision
from offdag.review.junit import write_junit
from offdag.review.page import page
from offdag.review.past import Past
from offdag.review.review import Request, Review, review, review_alone
from offdag.review.schemas import drop_schemas
from offdag.review.selection import Dbt
from offdag.review.state import State, with_database, write_state
from offdag.review.summary import summary
from offdag.settings import Settings

_log = logging.getLogger(__name__)

# Names the review's schema, for profiles.
_SCHEMA = "OFFDAG_REVIEW_SCHEMA"
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
        hide: Columns whose values are never shown.
        base: Branch that the change will be merged into; None for what the CI system or git names.
        fail_on: tests, breaking, schema, rows or none.
        full: Build everything, also where production's state is known.
        full_refresh: Build incremental models and snapshots from nothing.
        allow_shared: Patterns of production's relations that the build may write.
        read_only: Write nothing into the history.
        comment: Write the summary as a comment of the pull request.
        failing_rows: Most rows that are shown of a failed test.
        out: Folder for summary.md, summary.html, review.json and junit.xml.
        command: The build; empty for `dbt build` with the target.
    """

    project_dir: Path
    production: str
    target: str
    state_folder: Path | None
    decimals: int
    samples: int
    hide: tuple[str, ...]
    base: str | None
    fail_on: str
    full: bool = False
    full_refresh: bool = False
    allow_shared: tuple[str, ...] = ()
    read_only: bool = False
    comment: bool = False
    failing_rows: int = 0
    out: Path = Path(".offdag/ci")
    command: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReviewResult:
    """The result of a reviewed build.

    Attributes:
        dbt_exit_code: dbt's own.
        review: What was found; None where dbt left no results.
        is_refused: ``fail_on`` does not allow what differs, or what could not be compared.
        exit_code: dbt's own; or what ``fail_on`` makes of it.
    """

    dbt_exit_code: int
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
        return review(request, build, state, _base(settings, options, state))


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
    settings = _for_pull_request(replace(settings, environment=options.target))
    request = _request(settings, options)
    command = build_command(options.command, options.target)
    options.out.mkdir(parents=True, exist_ok=True)
    # Files of an earlier review must not be mistaken for this one's.
    for name in ("summary.md", "summary.html", "review.json", "junit.xml"):
        (options.out / name).unlink(missing_ok=True)
    known = _known_state(settings, request, options)
    command, narrowing = _narrowed(request, known.state, command, options.full)
    known = replace(known, remarks=(*known.remarks, *narrowing))
    for remark in known.remarks:
        _log.info("%s", remark)
    if known.state and known.state.database:
        # For the profile, which attaches the copy under production's name.
        database = {"OFFDAG_STATE_DATABASE": str(known.state.database.resolve())}
        settings = replace(settings, environ={**settings.environ, **database})
        request = _request(settings, options)
    try:
        return _reviewed(settings, options, request, known, command, show)
    finally:
        if known.state and not options.state_folder:
            known.state.drop_database()


def _reviewed(
    settings: Settings,
    options: ReviewOptions,
    request: Request,
    known: _KnownState,
    command: list[str],
    show: Callable[[str], None],
) -> ReviewResult:
    """Build, compare, and write the files."""
    project = request.review.project_name or "dbt"
    try:
        built = Builder(
            settings=settings,
            request=request,
            command=command,
            state=known.state,
            is_blind=known.is_blind,
            allow_shared=options.allow_shared,
            full_refresh=options.full_refresh,
            collects=not options.read_only,
        ).run()
    except OffdagError as problem:
        why_not = problem.what
        _write_summary(settings, options, summary(project, problem.exit_code, None, known.remarks, why_not=why_not))
        write_junit(project, None, options.out / "junit.xml", why_not)
        raise
    # Before the comparison, which can fail: the results of the build are known.
    write_junit(project, built.build, options.out / "junit.xml", built.why_not)
    found = None
    base = _base(settings, options, known.state)
    if built.build and settings.github_workspace:
        for line in workflow_commands(built.build, base, request.review.project_dir, settings.github_workspace):
            show(line)
    if built.build and not built.was_stopped:
        if known.state:
            past = _past(settings, request, options, built.build)
            found = review(request, built.build, known.state, base, built.cloned, past)
        else:
            found = review_alone(built.build, known.is_blind)
    is_refused = bool(found and is_refused_by(found, options.fail_on))
    remarks = (*known.remarks, *built.remarks, *unseen_changes(base.here or (), command))
    text = summary(project, built.exit_code, found, remarks, is_refused, why_not=built.why_not)
    _write_summary(settings, options, text)
    facts = document(project, built.exit_code, found, is_refused)
    (options.out / "review.json").write_text(facts, encoding="utf-8")
    if options.comment:
        try:
            _log.info(
                "the comment of the pull request was %s",
                write_comment(settings, text, mark_of(project, options.target)),
            )
        except DeliveryError as problem:
            # A fork's token has no right to write; the summary is there without it.
            _log.warning("%s", problem)
    exit_code = _exit_code(built.exit_code, is_refused, options.fail_on)
    return ReviewResult(built.exit_code, found, is_refused, exit_code)


def _past(settings: Settings, request: Request, options: ReviewOptions, build: Build) -> Past:
    """Production's last builds; without a history, as for a state from another machine, nothing is known of them."""
    try:
        history = _history(settings)
        past = Past.read(history, _project_name(settings, request.review), options.production, build.results)
        price = project_vars(settings.config).get("price_per_tebibyte")
        return replace(past, price_per_tebibyte=float(price or 0))
    except OffdagError as problem:
        _log.info("production's last builds are unknown: %s", problem.what)
        return Past()


def _write_summary(settings: Settings, options: ReviewOptions, text: str) -> None:
    (options.out / "summary.md").write_text(text, encoding="utf-8")
    (options.out / "summary.html").write_text(page(text), encoding="utf-8")
    if settings.github_summary:
        with settings.github_summary.open("a", encoding="utf-8") as file:
            file.write(text)


def _for_pull_request(settings: Settings) -> Settings:
    """The settings with a schema of the pull request's own, for profiles that use it."""
    number = settings.origin.pull_request
    own = settings.review_schema or (f"pr_{number}" if number else None)
    return replace(settings, review_schema=own, environ={**settings.environ, **({_SCHEMA: own} if own else {})})


def _base(settings: Settings, options: ReviewOptions, state: State | None) -> Base:
    return base_of(options.project_dir, state.git_sha if state else None, options.base, settings.environ)


def drop_review(settings: Settings, options: ReviewOptions) -> list[str]:
    """Remove the schemas that the builds of a pull request made; see :func:`offdag.review.schemas.drop_schemas`.

    Raises:
        UsageError: There is no pull request, or its schemas cannot be removed.
    """
    settings = _for_pull_request(settings)
    if not settings.review_schema:
        raise UsageError("this is no pull request, so it has no schema of its own", _SCHEMA, f"export {_SCHEMA}=pr_7")
    request = _request(settings, options)
    command = build_command(options.command, options.target)
    dbt = Dbt(command, request.review, settings.dbt_environ)
    try:
        with tempfile.TemporaryDirectory(prefix="offdag-state-") as folder:
            project = _project_name(settings, request.review)
            state = (
                State.of(options.state_folder)
                if options.state_folder
                else write_state(History(settings.history), project, options.production, Path(folder))
            )
            production: Build | None = state.build
    except NoBuild:
        production = None
    return drop_schemas(dbt, request, settings.review_schema, production)


def is_refused_by(found: Review, fail_on: str) -> bool:
    """Whether ``--fail-on`` refuses a review; what could not be compared may differ."""
    by_level = {
        "breaking": bool(found.breaking) or found.has_problems,
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
    except NoBuild as problem:
        # Production may never have been built; a name of which there is nothing, beside others, is mistyped.
        if problem.others - {options.target}:
            raise UsageError(
                f"the history has no build of {project} in {options.production}",
                f"--from {options.production}; its environments are {', '.join(sorted(problem.others))}",
                f"offdag ci --from {min(problem.others - {options.target})} --to {options.target}",
            ) from problem
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
        precision=Precision(options.decimals, options.samples, frozenset(name.lower() for name in options.hide)),
        wait=settings.wait_as("diff"),
        failing_rows=options.failing_rows,
    )


def _invocation(settings: Settings, project_dir: Path, target: str) -> DbtInvocation:
    checked_project(project_dir, settings.environ, _EXAMPLE)
    return replace(DbtInvocation.parse((), project_dir, settings.environ), target=target)


def _project_name(settings: Settings, invocation: DbtInvocation) -> str:
    return settings.project or invocation.project_name or ""


def _history(settings: Settings) -> History:
    return History.open_existing(settings.history)
