"""Production's last artifacts out of the history, for dbt's ``--state``, and a copy of its DuckDB file to defer to and compare with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from offdag.artifacts.document import Kind
from offdag.database import copy_database
from offdag.dbt_project import DbtProject
from offdag.errors import UsageError
from offdag.history.history import History
from offdag.history.raw import RawArtifact, kept_artifact, read_artifact

Row = dict[str, Any]

_MANIFEST, _RUN_RESULTS, _SOURCES = (f"{kind.value}.json" for kind in (Kind.MANIFEST, Kind.RUN_RESULTS, Kind.SOURCES))


@dataclass(frozen=True)
class State:
    """A folder with production's manifest and run_results; sources where freshness was checked.

    Attributes:
        database: Copy of production's DuckDB file; None where there is none.
    """

    folder: Path
    database: Path | None

    @classmethod
    def of(cls, folder: Path) -> State:
        """A folder that :func:`write_state` filled, here or on another machine.

        Raises:
            UsageError: It holds no manifest and run_results.
        """
        for name in (_MANIFEST, _RUN_RESULTS):
            if not (folder / name).is_file():
                raise UsageError(f"the state has no {name}", str(folder), f"offdag state -e prod -o {folder}")
        return cls(folder, next(iter(sorted(folder.glob("*.duckdb"))), None))


def write_state(history: History, project: str, environment: str, folder: Path) -> datetime | None:
    """Write the artifacts of an environment's newest whole build, and its newest freshness check, as dbt wrote them.

    Args:
        history: Where they are kept.
        project: dbt project.
        environment: Such as prod.
        folder: Made where it is missing; what an earlier call wrote is replaced.

    Returns:
        When the build ended, naive UTC; None where the history has no such build, or not its manifest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for old in (_MANIFEST, _RUN_RESULTS, _SOURCES):
        (folder / old).unlink(missing_ok=True)
    build = _newest(history, project, environment, lambda row: row["is_build"] and not row["is_partial"])
    results = _kept(history, build, Kind.RUN_RESULTS) if build else None
    manifest = _manifest_of(history, results) if results else None
    if build is None or results is None or manifest is None:
        return None
    (folder / _MANIFEST).write_bytes(read_artifact(history, manifest))
    (folder / _RUN_RESULTS).write_bytes(read_artifact(history, results))
    freshness = _newest(history, project, environment, lambda row: row["command"] == "freshness")
    sources = _kept(history, freshness, Kind.SOURCES) if freshness else None
    if sources:
        (folder / _SOURCES).write_bytes(read_artifact(history, sources))
    generated_at: datetime = build["generated_at"]
    return generated_at


def copy_production(
    project: DbtProject, target: str, folder: Path, lock_timeout: float, say: Callable[[str], None]
) -> Path | None:
    """Copy a target's DuckDB file under its own name, which is its catalog's, while nothing writes to it.

    Args:
        project: Whose profile leads to the file.
        target: Target of the profile.
        folder: Where the copy goes.
        lock_timeout: Longest wait for a writer, in seconds.
        say: Gets a line where there is nothing to copy, or while waiting.

    Returns:
        The copy; None for other warehouses, and where there is no such file.

    Raises:
        DatabaseLocked: A writer stayed for the whole time.
    """
    for old in folder.glob("*.duckdb*"):
        old.unlink()
    path = duckdb_path(project, target)
    if path is None:
        return None
    if not path.is_file():
        say(f"there is no copy of {target}'s database to defer to and compare with: no file {path}")
        return None
    copy = folder / path.name
    copy_database(path, copy, "state", lock_timeout, say)
    return copy


def duckdb_path(project: DbtProject, target: str) -> Path | None:
    """The DuckDB file of a target; None for other warehouses.

    Raises:
        UsageError: The profile has no such target.
    """
    connection = project.connection(target)
    if connection.get("type") != "duckdb":
        return None
    return project.folder / str(connection.get("path", ""))


def _newest(history: History, project: str, environment: str, fits: Callable[[Row], bool]) -> Row | None:
    """The newest ``invocations`` row that fits; newer dates are looked at first, and no more than needed."""
    for day in reversed(history.dates("invocations")):
        rows: list[Row] = [
            row
            for row in history.read_day("invocations", day).to_pylist()
            if (row["project"], row["environment"]) == (project, environment) and fits(row)
        ]
        if rows:
            return max(rows, key=lambda row: row["generated_at"])
    return None


def _kept(history: History, invocation: Row, kind: Kind) -> RawArtifact | None:
    project, environment, invocation_id = (invocation[k] for k in ("project", "environment", "invocation_id"))
    return kept_artifact(history, project, environment, invocation["generated_at"].date(), invocation_id, kind.value)


def _manifest_of(history: History, results: RawArtifact) -> RawArtifact | None:
    """The manifest with the content that the build had; the same content is kept once, where it was first seen."""
    name = results.context.get("manifest_artifact")
    return RawArtifact(name, Kind.MANIFEST.value, {}, results.day) if name and history.store.exists(name) else None
