"""Production's last artifacts out of the history, for dbt's ``--state``, and a copy of its DuckDB file to defer to and compare with."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from offdag.artifacts.document import Kind
from offdag.artifacts.values import Row, mapping, text
from offdag.dbt.command import DbtInvocation
from offdag.duckdb_files import LockWait, copy_database
from offdag.errors import NoBuild, UsageError
from offdag.history.history import History
from offdag.history.raw import InvocationFolder, RawArtifact, kept_artifact, kept_manifest, read_artifact
from offdag.review.build import Build

_log = logging.getLogger(__name__)

# Commands whose manifest holds the code that made the tables.
_MAKES_TABLES = ("build", "run")
_FILES = tuple(f"{kind.value}.json" for kind in (Kind.MANIFEST, Kind.RUN_RESULTS, Kind.SOURCES))
# Enough to find environments that are built now.
_DATES_SEARCHED = 30
# Marks a folder that offdag filled, and names the database in it.
_MARKER = "state.json"


@dataclass(frozen=True)
class State:
    """A folder with production's manifest and run_results; sources where freshness was checked.

    Attributes:
        database: Copy of production's DuckDB file; None where there is none.
        git_sha: Commit of production's build; None where it is unknown.
    """

    folder: Path
    database: Path | None
    git_sha: str | None = None

    @classmethod
    def of(cls, folder: Path) -> State:
        """A folder that :func:`write_state` filled, here or on another machine.

        Raises:
            UsageError: It lacks an artifact.
        """
        for name in _FILES[:2]:
            if not (folder / name).is_file():
                raise UsageError(f"the state has no {name}", str(folder), f"offdag state -e prod -o {folder}")
        marks = _marks(folder)
        database = _marked_database(marks)
        return cls(folder, folder / database if database else None, text(marks.get("git_sha")))

    @cached_property
    def build(self) -> Build:
        """Production's last build, read once.

        Raises:
            UsageError: An artifact cannot be read.
        """
        return Build.read(self.folder)

    def drop_database(self) -> None:
        """Remove the copy, which is as large as production."""
        if self.database:
            for path in (self.database, _log_of(self.database)):
                path.unlink(missing_ok=True)
            _mark(self.folder, None, self.git_sha)


def write_state(history: History, project: str, environment: str, folder: Path) -> State:
    """Write the artifacts of an environment's newest build, and of its newest freshness check, as dbt wrote them.

    Args:
        history: Keeps them.
        project: dbt project.
        environment: Such as prod.
        folder: Created where it is missing; what an earlier call wrote is removed.

    Raises:
        NoBuild: The history has no complete `dbt build` or `dbt run` of the environment, or not its manifest.
        UsageError: The folder holds files that offdag did not write.
        HistoryError: The history cannot be read.
    """
    _emptied(folder)
    build = _newest(history, project, environment, lambda r: r["command"] in _MAKES_TABLES and not r["is_partial"])
    results = _kept(history, build, Kind.RUN_RESULTS) if build else None
    manifest = kept_manifest(history, results) if results else None
    if build is None or results is None or manifest is None:
        others = _environments(history, project) - {environment}
        raise NoBuild(
            f"the history has no build of {project} in {environment} with its manifest"
            + (f", but of {', '.join(sorted(others))}" if others else ""),
            history.root,
            f"offdag run -e {environment} -- dbt build --target {environment}",
            frozenset(others),
        )
    freshness = _newest(history, project, environment, lambda r: r["command"] == "freshness")
    sources = _kept(history, freshness, Kind.SOURCES) if freshness else None
    for name, artifact in zip(_FILES, (manifest, results, sources), strict=True):
        if artifact:
            (folder / name).write_bytes(read_artifact(history, artifact))
    _mark(folder, None, build["git_sha"])
    _log.info(
        "production's last build in the history: %s, %s UTC", environment, f"{build['generated_at']:%Y-%m-%d %H:%M:%S}"
    )
    return State(folder, None, build["git_sha"])


def with_database(state: State, production: DbtInvocation, wait: LockWait) -> State:
    """The state with a copy of production's DuckDB file under its own name, which is its catalog's.

    Args:
        state: A folder that :func:`write_state` filled.
        production: Its profile and target lead to the file.
        wait: How long to wait for a writer.

    Returns:
        The state unchanged for other warehouses, and where there is no such file.

    Raises:
        DatabaseLocked: A writer stayed for the whole time.
        UsageError: The profile has no such target.
    """
    path = duckdb_path(production)
    if path is None:
        return state
    if not path.is_file():
        _log.warning(
            "there is no copy of %s's database to defer to and compare with: no file %s", production.target, path
        )
        return state
    copy = state.folder / path.name
    _mark(state.folder, copy.name, state.git_sha)
    copy_database(path, copy, wait)
    return replace(state, database=copy)


def _emptied(folder: Path) -> None:
    """Make the folder, and remove what an earlier call wrote; never anything else."""
    folder.mkdir(parents=True, exist_ok=True)
    existing = {path.name for path in folder.iterdir()}
    if existing and _MARKER not in existing:
        raise UsageError(
            "the folder holds files that offdag did not write", str(folder), "offdag state -e prod -o state"
        )
    database = _marked_database(_marks(folder))
    ours = [*_FILES, *([database, _log_of(Path(database)).name] if database else [])]
    for name in ours:
        (folder / name).unlink(missing_ok=True)
    _mark(folder, None, None)


def _marks(folder: Path) -> Row:
    """What the marker holds; nothing where it cannot be read."""
    try:
        return mapping(json.loads((folder / _MARKER).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _marked_database(marks: Row) -> str | None:
    """The database that the marker names; a name that leads out of the folder is not offdag's."""
    name = text(marks.get("database"))
    return name if name and Path(name).name == name else None


def _mark(folder: Path, database: str | None, git_sha: str | None) -> None:
    marks = {"database": database, "git_sha": git_sha}
    (folder / _MARKER).write_text(json.dumps(marks), encoding="utf-8")


def _log_of(database: Path) -> Path:
    return database.with_name(f"{database.name}.wal")


def duckdb_path(invocation: DbtInvocation) -> Path | None:
    """The DuckDB file of an invocation's target; None for other warehouses.

    Raises:
        UsageError: The profile has no such target.
    """
    connection = invocation.connection("type", "path")
    if connection.get("type") != "duckdb":
        return None
    return invocation.project_dir / str(connection.get("path", ""))


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file, also by links and mounts."""
    return one.resolve() == other.resolve() or (one.exists() and other.exists() and one.samefile(other))


def _newest(history: History, project: str, environment: str, fits: Callable[[Row], bool]) -> Row | None:
    """The newest ``invocations`` row that fits; newer dates are read first, and no more than needed."""
    for day in reversed(history.dates("invocations")):
        rows: list[Row] = [
            row
            for row in history.read_day("invocations", day).to_pylist()
            if (row["project"], row["environment"]) == (project, environment) and fits(row)
        ]
        if rows:
            return max(rows, key=lambda row: row["generated_at"])
    return None


def _environments(history: History, project: str) -> set[str]:
    """Environments in which the history has a build of a project, of the last dates that have any."""
    return {
        row["environment"]
        for day in history.dates("invocations")[-_DATES_SEARCHED:]
        for row in history.read_day("invocations", day).to_pylist()
        if row["project"] == project and row["command"] in _MAKES_TABLES
    }


def _kept(history: History, invocation: Row, kind: Kind) -> RawArtifact | None:
    project, environment, invocation_id = (invocation[k] for k in ("project", "environment", "invocation_id"))
    day = invocation["generated_at"].date()
    return kept_artifact(history, InvocationFolder(project, environment, day, invocation_id), kind.value)
