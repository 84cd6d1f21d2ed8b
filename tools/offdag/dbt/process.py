"""``offdag run``: dbt as its own process, then whatever it left behind is collected."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import uuid
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from offdag.artifacts.document import Kind, Verdict
from offdag.artifacts.results import BUILD_COMMANDS
from offdag.clock import utc_now
from offdag.collect.collection import collect_files
from offdag.collect.collector import Judged
from offdag.collect.context import UNKNOWN, Context
from offdag.collect.places import ArtifactFile, Fingerprint, fingerprints
from offdag.dbt.project import DbtProject, command_flag
from offdag.errors import UsageError
from offdag.history.history import History
from offdag.origin import Origin
from offdag.settings import Settings

# dbt's exit code where it was stopped or could not start; 1 is a failure that it handled.
_UNHANDLED = 2
_LOG_LINES = 20
_VERBS = BUILD_COMMANDS | {
    "source", "freshness", "compile", "docs", "ls", "list", "parse", "show", "run-operation", "deps", "debug", "clean", "init",
}  # fmt: skip
_TELLTALE = (
    r"[\w-]*(?:password|passwd|passphrase|secret|token|credential|api[_-]?key|account[_-]?key|private[_-]?key)[\w-]*"
)
_SECRETS = (
    # name: value, name=value, --name value; the value in quotes or to the next space
    re.compile(rf"""(?i)({_TELLTALE}["']?(?:\s*[:=]\s*|\s+))("[^"]*"|'[^']*'|[^\s,;]+)"""),
    re.compile(r"(?i)\b(bearer\s+|basic\s+)(\S+)"),
    # user and password, or a token alone, in a URL
    re.compile(r"(://)([^/\s@]+)(?=@)"),
)


@dataclass(frozen=True)
class Ended:
    """How dbt ended.

    Attributes:
        exit_code: dbt's own, or 128 + n on signal n.
        signal_name: Such as SIGKILL; None where dbt exited by itself.
    """

    job_run_id: str
    job_id: str
    project: DbtProject
    environment: str | None
    command: str
    started_at: datetime
    ended_at: datetime
    exit_code: int
    signal_name: str | None
    was_build: bool
    target: str | None
    target_path: Path
    log_path: Path
    before: dict[ArtifactFile, Fingerprint]
    origin: Origin

    @property
    def left_results(self) -> bool:
        """Whether run_results.json is of this command."""
        now = fingerprints(self.target_path)
        return any(
            file.file_name == f"{Kind.RUN_RESULTS.value}.json" and self.before.get(file) != fingerprint
            for file, fingerprint in now.items()
        )


def run_dbt(settings: Settings, project_dir: Path, command: Sequence[str]) -> Ended:
    """Run dbt in the project's folder, with its output as it is and signals passed on.

    Args:
        settings: Environment, job id and origin to hand to dbt by ``DBT_ENV_CUSTOM_ENV_OFFDAG_*``, which dbt copies into artifacts.
        project_dir: Folder of the dbt project, where the command is run.
        command: Program and arguments, such as ``dbt build --target prod``.

    Raises:
        UsageError: The folder or the program does not exist.
    """
    inner = command_flag(command, "--project-dir") or settings.environ.get("DBT_PROJECT_DIR")
    project = DbtProject(project_dir / inner if inner else project_dir, settings.environ)
    if not (project.folder / "dbt_project.yml").is_file():
        raise UsageError(
            "there is no dbt project",
            str(project.folder / "dbt_project.yml"),
            "offdag run --project-dir inventory_project -- dbt build",
        )
    origin = _with_git(settings.origin, project_dir)
    job_id = settings.job_id or uuid.uuid4().hex
    target_path = project.target_path(command)
    before = fingerprints(target_path)
    target = command_flag(command, "--target") or command_flag(command, "-t") or settings.environ.get("DBT_TARGET")
    # Without a word from the user, the target's name is the environment's.
    environment = settings.environment or target
    started_at = utc_now()
    try:
        # A session of its own: Ctrl-C then reaches dbt once, through us.
        process = subprocess.Popen(
            list(command), cwd=project_dir, env=_environ(settings, job_id, environment, origin), start_new_session=True
        )
    except OSError as error:
        raise UsageError(
            f"cannot start {command[0]}: {error.strerror}",
            str(project_dir),
            "pip install dbt-core, or give dbt's full path",
        ) from error
    previous = {
        # The whole group: dbt may run below a wrapper such as uv or make.
        number: signal.signal(number, lambda received, _frame: os.killpg(process.pid, received))
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    }
    try:
        code = process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return Ended(
        job_run_id=uuid.uuid4().hex,
        job_id=job_id,
        project=project,
        environment=environment,
        command=" ".join(command),
        started_at=started_at,
        ended_at=utc_now(),
        exit_code=code if code >= 0 else 128 - code,
        signal_name=signal.Signals(-code).name if code < 0 else None,
        was_build=_subcommand(command) in BUILD_COMMANDS,
        target=target,
        target_path=target_path,
        log_path=project.folder / "logs" / "dbt.log",
        before=before,
        origin=origin,
    )


@dataclass(frozen=True)
class CollectedRun:
    """What was found after a run.

    Attributes:
        judged: One for each artifact in the target folder.
    """

    judged: list[Judged]

    @property
    def left(self) -> list[Judged]:
        """What dbt left of its own: also what another collector took first, or nobody can read, shows that it ran."""
        state = (Kind.MANIFEST.value, Kind.CATALOG.value)
        return [
            j for j in self.judged if j.verdict["kind"] not in state and j.verdict["verdict"] != Verdict.STALE.value
        ]

    @property
    def invocation(self) -> dict[str, Any] | None:
        """The ``invocations`` row that was written; None where there was none."""
        return next((j.invocation for j in self.judged if j.invocation), None)


def collect_run(history: History, settings: Settings, ended: Ended) -> CollectedRun:
    """Collect what dbt left, and record the command itself, results or none.

    Raises:
        HistoryError: The history cannot be written.
    """
    context = Context(
        project=settings.project or ended.project.name,
        environment=ended.environment,
        job_id=ended.job_id,
        origin=ended.origin,
        # A wrapper gives 128 + n for the signal that ended dbt below it.
        was_interrupted=ended.exit_code == _UNHANDLED or ended.exit_code > 128,
        before=ended.before,
    )
    run = CollectedRun(collect_files(history, list(fingerprints(ended.target_path)), context))
    told = next((j.verdict for j in run.left if j.verdict["invocation_id"]), None)
    history.put(
        "job_runs",
        ended.started_at.date(),
        ended.job_run_id,
        [
            {
                "job_run_id": ended.job_run_id,
                "job_id": ended.job_id,
                "project": settings.project or ended.project.name,
                "environment": ended.environment or (told["environment"] if told else None) or UNKNOWN,
                "command": _redacted(ended.command, settings),
                "is_build": ended.was_build,
                "started_at": ended.started_at,
                "ended_at": ended.ended_at,
                "exit_code": ended.exit_code,
                "signal": ended.signal_name,
                "has_results": bool(run.left),
                "invocation_id": told["invocation_id"] if told else None,
                **asdict(ended.origin),
                "log_tail": _log_tail(ended, settings) if ended.exit_code and not run.left else None,
            }
        ],
    )
    return run


def _environ(settings: Settings, job_id: str, environment: str | None, origin: Origin) -> dict[str, str]:
    handed = {
        "JOB_ID": job_id,
        "ENVIRONMENT": environment,
        "GIT_SHA": origin.git_sha,
        "GIT_BRANCH": origin.git_branch,
        "ACTOR": origin.actor,
        "CI_URL": origin.ci_url,
        "PULL_REQUEST": origin.pull_request,
    }
    # dbt has no use for Slack's secrets.
    inherited = {k: v for k, v in settings.environ.items() if v not in settings.secrets}
    return inherited | {f"DBT_ENV_CUSTOM_ENV_OFFDAG_{k}": v for k, v in handed.items() if v}


def _with_git(origin: Origin, folder: Path) -> Origin:
    """Ask git for the commit and branch that no variable told."""
    if origin.git_sha:
        return origin

    def git(*arguments: str) -> str | None:
        try:
            done = subprocess.run(
                ["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=10, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout.strip() or None if done.returncode == 0 else None

    branch = origin.git_branch or git("symbolic-ref", "--short", "-q", "HEAD")
    return replace(origin, git_sha=git("rev-parse", "HEAD"), git_branch=branch)


def _subcommand(command: Sequence[str]) -> str | None:
    """The verb of dbt: the first that it knows behind the word dbt, which may follow a wrapper such as `uv run`."""
    names = [Path(word).name for word in command]
    start = next((i for i, name in enumerate(names) if name.startswith("dbt")), 0)
    return next((word for word in command[start + 1 :] if word in _VERBS), None)


def _log_tail(ended: Ended, settings: Settings) -> str | None:
    """The last lines that dbt logged in this run, without secrets."""
    try:
        if datetime.fromtimestamp(ended.log_path.stat().st_mtime, timezone.utc).replace(tzinfo=None) < ended.started_at:
            return None
        with ended.log_path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 20_000))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return None
    return _redacted("\n".join(lines[-_LOG_LINES:]), settings)


def _redacted(text: str, settings: Settings) -> str:
    """The text without known secrets, and without what looks like one."""
    named = re.compile(_TELLTALE, re.I)
    hidden = [
        v for k, v in settings.environ.items() if len(v) > 3 and (named.fullmatch(k) or k.startswith("DBT_ENV_SECRET"))
    ]
    for secret in (*settings.secrets, *hidden):
        text = text.replace(secret, "***")
    for pattern in _SECRETS:
        text = pattern.sub(r"\1***", text)
    return text
