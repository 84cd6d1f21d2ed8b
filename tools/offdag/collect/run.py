"""`offdag run`: a dbt command, and the collection of its artifacts."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from offdag.artifacts.document import Kind, Verdict
from offdag.artifacts.results import BUILD_COMMANDS
from offdag.clock import utc_now
from offdag.collect.after_build import Built, keep_failing_rows, observe
from offdag.collect.collection import collect_files
from offdag.collect.collector import CollectedArtifact
from offdag.collect.context import Context
from offdag.collect.dbt_log import LogEnd
from offdag.collect.overwritten import OverwrittenResults
from offdag.collect.places import ArtifactFile, Fingerprint, fingerprints, has_new_results
from offdag.collect.refusal import collect_command, refusal_text
from offdag.dbt.command import DbtInvocation, dbt_words
from offdag.dbt.process import one_run_at_a_time, run_process
from offdag.dbt.project import checked_project
from offdag.dbt.redaction import redacted, secret_values
from offdag.dbt.signals import SignalRelay
from offdag.environment import UNKNOWN, resolve_environment
from offdag.errors import OffdagError, error_text
from offdag.history.compaction import compact_in_passing
from offdag.history.history import History
from offdag.origin import Origin
from offdag.settings import Settings

_log = logging.getLogger(__name__)

# dbt's exit code where it was stopped or could not start; 1 is a failure that it handled.
_UNHANDLED = 2
_STATE_KINDS = (Kind.MANIFEST.value, Kind.CATALOG.value)


@dataclass(frozen=True)
class RunStart:
    """A dbt command that is about to run.

    Attributes:
        job_run_id: Names this run of the command.
        job_id: Groups the commands of one job.
        invocation: The parsed command line.
        project: Recorded with the run; None where neither the user nor dbt_project.yml names it.
        environment: Recorded with the run; ``unknown`` where neither the user nor a target names it.
        command: Program and arguments.
        started_at: Naive UTC.
        before: Fingerprints of the artifacts that were in the target folder.
        origin: Commit, branch, person and page.
        project_variables: Those of dbt_project.yml.
    """

    job_run_id: str
    job_id: str
    invocation: DbtInvocation
    project: str | None
    environment: str
    command: tuple[str, ...]
    started_at: datetime
    before: dict[ArtifactFile, Fingerprint]
    origin: Origin
    project_variables: str

    @property
    def is_build(self) -> bool:
        """Whether it builds; a script that shows no dbt command counts as a build, so that its failure is not missed."""
        return self.invocation.verb in BUILD_COMMANDS or self.is_script

    @property
    def is_script(self) -> bool:
        """Whether the command shows no dbt command: there may be several in it."""
        return not dbt_words(self.command)


@dataclass(frozen=True)
class RunOutcome:
    """How a dbt command ended.

    Attributes:
        start: What was started.
        ended_at: Naive UTC.
        exit_code: dbt's own, or 128 + n on signal n.
        signal_name: Such as SIGKILL; None where dbt exited by itself.
    """

    start: RunStart
    ended_at: datetime
    exit_code: int
    signal_name: str | None

    @property
    def left_results(self) -> bool:
        """Whether run_results.json is from this command."""
        return has_new_results(self.start.invocation.target_path, self.start.before)


@dataclass(frozen=True)
class CollectedRun:
    """What was found after a run.

    Attributes:
        artifacts: One for each artifact that was overwritten, then for each in the target folder.
    """

    artifacts: list[CollectedArtifact]

    @property
    def left(self) -> list[CollectedArtifact]:
        """What this command wrote: artifacts that another collector took first, or that cannot be read, show too that it ran."""
        return [
            found
            for found in self.artifacts
            if found.verdict["kind"] not in _STATE_KINDS
            and found.verdict["verdict"] not in (Verdict.STALE.value, Verdict.CONFLICT.value)
        ]

    @property
    def refusal(self) -> str | None:
        """Why the results have no rows, where they may be another project's."""
        conflicts = [f.verdict for f in self.artifacts if f.verdict["verdict"] == Verdict.CONFLICT.value]
        reasons = [row["reason"] for row in conflicts if row["kind"] not in _STATE_KINDS]
        return f"its results were refused: it {reasons[0]}" if reasons else None

    @property
    def results(self) -> CollectedArtifact | None:
        """The last artifact that gave an ``invocations`` row; None where there was none."""
        return next((found for found in reversed(self.artifacts) if found.invocation), None)


def run_and_collect(
    settings: Settings, cwd: Path, command: Sequence[str], relay: SignalRelay, observes: bool = True
) -> RunOutcome:
    """Run dbt, then collect whatever it left. Trouble with collecting is logged, and does not change the outcome.

    Args:
        settings: Environment, job id and origin are handed to dbt by ``DBT_ENV_CUSTOM_ENV_OFFDAG_*``, which dbt copies into artifacts.
        cwd: Folder in which the command runs.
        command: Program and arguments, such as ``dbt build --target prod``.
        relay: Passes signals on; it is entered already.
        observes: Copy the observed tables after a build.

    Raises:
        UsageError: There is no dbt project, the program does not exist, or another run keeps the target folder.
    """
    invocation = DbtInvocation.parse(command, cwd, settings.environ)
    project = checked_project(
        invocation.project_dir, settings.environ, "offdag run --project-dir inventory_project -- dbt build"
    )
    with one_run_at_a_time(invocation.target_path, settings.lock_timeout, relay):
        start = RunStart(
            job_run_id=uuid.uuid4().hex,
            job_id=settings.job_id or uuid.uuid4().hex,
            invocation=invocation,
            project=settings.project or invocation.project_name,
            environment=resolve_environment(settings.environment, target=invocation.target_of(command)),
            command=tuple(command),
            started_at=utc_now(),
            before=fingerprints(invocation.target_path),
            origin=settings.origin.completed_by_git(cwd),
            project_variables=project.variable_hashes(),
        )
        with _logged_trouble(start):
            _before_run(settings, start)
        with OverwrittenResults(invocation.target_path, start.before) as overwritten:
            on_start = overwritten.start if start.is_script else lambda: None
            end = run_process(command, cwd, _environ(settings, start), relay, on_start)
            outcome = RunOutcome(start, utc_now(), end.exit_code, end.signal_name)
            with _logged_trouble(start):
                _after_run(settings, outcome, observes, overwritten.stop())
    return outcome


@contextmanager
def _logged_trouble(start: RunStart) -> Iterator[None]:
    """Log every error: trouble with collecting must not change the result of a build, and is no reason to build again."""
    try:
        yield
    except OffdagError as error:
        collect = collect_command(start.environment, str(start.invocation.target_path))
        _log.error("offdag could not collect this run\n%s\nthen:  %s", error, collect)
    except Exception:
        _log.exception("offdag could not collect this run, because of a defect in offdag")


def _before_run(settings: Settings, start: RunStart) -> None:
    """Record the start, and collect what an earlier run left uncollected: its collector may have been killed."""
    history = History(settings.history)
    lost = _lost_start(history, start)
    if lost:
        environment = None if lost["environment"] == UNKNOWN else lost["environment"]
        is_given = settings.project is not None
        context = Context(start.project, environment, secrets=_secrets(settings), is_project_given=is_given)
        # What was there before that run belongs to another one.
        since = lost["started_at"].replace(tzinfo=timezone.utc).timestamp() * 1e9
        files = [file for file, (written_at, *_) in start.before.items() if written_at >= since]
        found = [f for f in collect_files(history, files, context) if f.invocation]
        if found:
            history.note("recovered_runs", lost["job_run_id"], {"artifacts": len(found)})
            _log.info("collected %d artifacts that an earlier run left in %s", len(found), start.invocation.target_path)
    history.put(
        "job_starts",
        start.started_at.date(),
        start.job_run_id,
        [
            {
                "job_run_id": start.job_run_id,
                "job_id": start.job_id,
                "project": start.project,
                "environment": start.environment,
                "command": redacted(" ".join(start.command), _secrets(settings)),
                "is_build": start.is_build,
                "started_at": start.started_at,
                "target_path": str(start.invocation.target_path.absolute()),
                **asdict(start.origin),
            }
        ],
    )


def _lost_start(history: History, start: RunStart) -> dict[str, Any] | None:
    """The newest ``job_starts`` row in this target folder that never ended and was not recovered, of the last two dates that have any."""
    folder = str(start.invocation.target_path.absolute())
    ended = {i for day in history.dates("job_runs")[-3:] for i in history.identities("job_runs", day)}
    for day in reversed(history.dates("job_starts")[-2:]):
        if history.identities("job_starts", day) <= ended:
            continue
        rows: list[dict[str, Any]] = history.read_day("job_starts", day).to_pylist()
        lost = [row for row in rows if row["target_path"] == folder and row["job_run_id"] not in ended]
        if lost:
            newest = max(lost, key=lambda row: row["started_at"])
            return None if history.known("recovered_runs", newest["job_run_id"]) else newest
    return None


def _after_run(settings: Settings, outcome: RunOutcome, observes: bool, overwritten: list[ArtifactFile]) -> None:
    start = outcome.start
    history = History(settings.history)
    collected = _collect_run(history, settings, outcome, overwritten)
    for found in collected.artifacts:
        if found.is_refused:
            _log.warning("%s", refusal_text(found.verdict))
    results = collected.results
    if results and results.invocation and results.invocation["environment"] == UNKNOWN:
        _log.warning(NO_ENVIRONMENT)
    if outcome.exit_code and not collected.left and not collected.refusal:
        what = f"dbt ended with {outcome.signal_name or outcome.exit_code} and left no results"
        _log.warning("%s", error_text(what, str(start.invocation.target_path), "offdag runs --log"))
    observed: list[str] = []
    if start.is_build and results and results.invocation and observes:
        built = _built(settings, start, results)
        observed = observe(settings, history, built)
        keep_failing_rows(settings, history, built)
    compact_in_passing(history)
    artifacts = ", ".join(f"{f.verdict['kind']} {f.verdict['verdict']}" for f in collected.artifacts) or "none"
    copies = f"; observed: {', '.join(observed)}" if observed else ""
    _log.info(
        "offdag: dbt ended with %d; artifacts: %s%s; history: %s",
        outcome.exit_code,
        artifacts,
        copies,
        settings.history,
    )


def _built(settings: Settings, start: RunStart, results: CollectedArtifact) -> Built:
    """What leads to the database of a build."""
    invocation = start.invocation.confirmed_by(results.args)
    environ, secrets = _environ(settings, start), _secrets(settings)
    return Built(start.command, invocation, environ, secrets, start.job_id, results.invocation or {})


NO_ENVIRONMENT = (
    "the environment is unknown, and incidents exist only for known ones: give --environment prod next time"
)


def _collect_run(
    history: History, settings: Settings, outcome: RunOutcome, overwritten: list[ArtifactFile]
) -> CollectedRun:
    """Collect what dbt left, and record the command itself, with results or without.

    Args:
        history: Gets both.
        settings: Name the secrets.
        outcome: How the command ended.
        overwritten: Copies of results of earlier dbt commands of a script.

    Raises:
        HistoryError: The history cannot be written.
    """
    start = outcome.start
    secrets = _secrets(settings)
    context = Context(
        project=start.project,
        is_project_given=settings.project is not None,
        environment=start.environment if start.environment != UNKNOWN else None,
        job_id=start.job_id,
        origin=start.origin,
        # A wrapper gives 128 + n for the signal that ended dbt below it.
        was_interrupted=outcome.exit_code == _UNHANDLED or outcome.exit_code > 128,
        before=start.before,
        secrets=secrets,
        project_variables=start.project_variables,
    )
    run = CollectedRun(
        [
            # What ended the script ended its last dbt command, not these.
            *collect_files(history, overwritten, replace(context, was_interrupted=False)),
            *collect_files(history, fingerprints(start.invocation.target_path), context),
        ]
    )
    # Of a build that went well but left nothing too: the log shows whether dbt came to its end.
    log_end = _log_end(outcome, secrets) if (outcome.exit_code or start.is_build) and not run.left else None
    # The exit code of a script belongs to its last dbt command.
    named = next((found.verdict for found in reversed(run.left) if found.verdict["invocation_id"]), None)
    history.put(
        "job_runs",
        start.started_at.date(),
        start.job_run_id,
        [
            {
                "job_run_id": start.job_run_id,
                "job_id": start.job_id,
                "project": start.project,
                "environment": start.environment if start.environment != UNKNOWN or not named else named["environment"],
                "command": redacted(" ".join(start.command), secrets),
                "is_build": start.is_build,
                "started_at": start.started_at,
                "ended_at": outcome.ended_at,
                "exit_code": outcome.exit_code,
                "signal": outcome.signal_name,
                "has_results": bool(run.left),
                "invocation_id": named["invocation_id"] if named else None,
                **asdict(start.origin),
                "log_tail": log_end and log_end.tail,
                "error_line": run.refusal or (log_end and log_end.error),
            }
        ],
    )
    return run


def _secrets(settings: Settings) -> tuple[str, ...]:
    return secret_values(settings.environ, *settings.secrets)


def _log_end(outcome: RunOutcome, secrets: Sequence[str]) -> LogEnd | None:
    """How dbt's log of this run ends, without secrets."""
    path = outcome.start.invocation.log_path / "dbt.log"
    return LogEnd.read(path, outcome.start.started_at, lambda text: redacted(text, secrets))


def _environ(settings: Settings, start: RunStart) -> dict[str, str]:
    handed = {
        "JOB_ID": start.job_id,
        "ENVIRONMENT": start.environment if start.environment != UNKNOWN else None,
        "GIT_SHA": start.origin.git_sha,
        "GIT_BRANCH": start.origin.git_branch,
        "ACTOR": start.origin.actor,
        "CI_URL": start.origin.ci_url,
        "PULL_REQUEST": start.origin.pull_request,
        "REPOSITORY_URL": start.origin.repository_url,
    }
    return settings.dbt_environ | {f"DBT_ENV_CUSTOM_ENV_OFFDAG_{k}": v for k, v in handed.items() if v}
