"""Artifacts to history: find them, judge each one, keep it, and write its rows. Every artifact found gets a verdict."""

from __future__ import annotations

import hashlib
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from offdag.artifacts.document import Document, Kind, UnreadableArtifact, Verdict, read_document
from offdag.artifacts.manifest import Manifest, read_manifest
from offdag.artifacts.results import read_results
from offdag.clock import utc_now
from offdag.dbt_project import find_project
from offdag.errors import UsageError
from offdag.history.history import History
from offdag.origin import Origin

Row = dict[str, Any]
Fingerprint = tuple[int, int, int]

UNKNOWN = "unknown"
_FILE_NAMES = tuple(f"{kind.value}.json" for kind in Kind)


@dataclass(frozen=True)
class Context:
    """What the caller knows of the artifacts, and they may not say themselves.

    Attributes:
        project: Recorded for all; None to read it from the manifest or dbt_project.yml.
        environment: Recorded for all; None to read it from the artifacts.
        job_id: Groups the invocations of a job; None to read it from the artifacts.
        origin: Where the job runs.
        was_interrupted: dbt was stopped, so results are partial.
        before: Fingerprints of the files as they were before dbt started: those are of an earlier run.
    """

    project: str | None = None
    environment: str | None = None
    job_id: str | None = None
    origin: Origin = field(default_factory=Origin)
    was_interrupted: bool = False
    before: dict[Path, Fingerprint] = field(default_factory=dict)


@dataclass(frozen=True)
class Collection:
    """What a collect run found.

    Attributes:
        verdicts: ``artifact_verdicts`` rows.
        invocations: ``invocations`` rows that were written.
    """

    verdicts: list[Row]
    invocations: list[Row]

    @property
    def counts(self) -> Counter[str]:
        return Counter(row["verdict"] for row in self.verdicts)

    @property
    def left(self) -> list[Row]:
        """Verdicts of what dbt left of its own: also what another collector took first, or nobody can read, shows that it ran."""
        return [r for r in self.verdicts if r["kind"] != Kind.MANIFEST.value and r["verdict"] != Verdict.STALE.value]

    @property
    def unreadable(self) -> list[Row]:
        """Verdicts of artifacts that gave no rows."""
        return [r for r in self.verdicts if r["verdict"] in (Verdict.UNREADABLE.value, Verdict.UNSUPPORTED.value)]


def fingerprints(folder: Path) -> dict[Path, Fingerprint]:
    """Identify the artifacts of a target folder as they are now, without reading them."""
    return {path: _fingerprint(path) for path in _artifacts_in(folder)}


def find_folders(paths: Sequence[Path], recursive: bool) -> list[list[Path]]:
    """The artifacts at each path, grouped by folder.

    Raises:
        UsageError: A path does not exist.
    """
    groups: dict[Path, list[Path]] = {}
    for path in paths:
        if path.is_file():
            # A file's manifest names its nodes.
            beside = path.with_name("manifest.json")
            wanted = [path] if path.name == beside.name or not beside.is_file() else [beside, path]
            groups.setdefault(path.parent, []).extend(p for p in wanted if p not in groups.get(path.parent, []))
        elif path.is_dir():
            folders = sorted({p.parent for name in _FILE_NAMES for p in path.rglob(name)}) if recursive else [path]
            for folder in folders:
                groups.setdefault(folder, []).extend(
                    p for p in _artifacts_in(folder) if p not in groups.get(folder, [])
                )
        else:
            raise UsageError("there is no such file or folder", str(path), "offdag collect inventory_project/target")
    return [group for group in groups.values() if group]


def collect(
    history: History,
    groups: Iterable[Sequence[Path]],
    context: Context,
    on_group: Callable[[], None] = lambda: None,
) -> Collection:
    """Judge and keep the artifacts, folder by folder.

    Args:
        history: Where to.
        groups: Artifacts of one folder each, as found by :func:`find_folders`.
        context: What the caller knows.
        on_group: Called after each folder.

    Raises:
        HistoryError: The history cannot be written. What was written stays valid, and collecting again completes it.
    """
    verdicts: list[Row] = []
    invocations: list[Row] = []
    for group in groups:
        folder = _Folder(history, group, context)
        verdicts += folder.collect()
        invocations += folder.invocations
        on_group()
    if verdicts:
        now = utc_now()
        history.put(
            "artifact_verdicts", now.date(), uuid.uuid4().hex, ({"collected_at": now, **row} for row in verdicts)
        )
    return Collection(verdicts, invocations)


class _Folder:
    """The artifacts of one folder, which know their project and manifest from each other."""

    def __init__(self, history: History, paths: Sequence[Path], context: Context) -> None:
        self._history = history
        self._paths = paths
        self._context = context
        self._manifest: Manifest | None = None
        self.invocations: list[Row] = []

    def collect(self) -> list[Row]:
        """Verdict rows, one for each artifact of the folder."""
        # The manifest comes first: it names the project of the others.
        return [self._judge(path) for path in sorted(self._paths, key=lambda p: (p.name != "manifest.json", p.name))]

    def _judge(self, path: Path) -> Row:
        try:
            fingerprint = _fingerprint(path)
            if self._context.before.get(path) == fingerprint:
                return self._verdict(path, Verdict.STALE, "was there before dbt started: of an earlier run")
            document = read_document(path)
        except UnreadableArtifact as problem:
            return self._unreadable(path, problem)
        except OSError as error:
            return self._unreadable(path, UnreadableArtifact(Verdict.UNREADABLE, f"cannot be opened: {error.strerror}"))
        try:
            return (
                self._collect_manifest(document) if document.kind is Kind.MANIFEST else self._collect_results(document)
            )
        except UnreadableArtifact as problem:
            return self._unreadable(path, problem, document)
        except (ValueError, OverflowError, RecursionError, pa.ArrowException) as error:
            # Values that no table can hold, such as numbers of a thousand digits.
            reason = f"holds a value that cannot be kept: {error}"[:200]
            return self._unreadable(path, UnreadableArtifact(Verdict.UNREADABLE, reason), document)

    def _collect_manifest(self, document: Document) -> Row:
        told = self._context.project or document.project_name or self._project_around
        manifest = read_manifest(document, told)
        self._manifest = manifest = replace(manifest, project=manifest.project or UNKNOWN)
        if self._history.holds("manifest_nodes", manifest.manifest_hash):
            return self._verdict(document.path, Verdict.DUPLICATE, "holds what an earlier manifest held", document)
        self._keep_raw(document)
        day, identity, project = document.generated_at.date(), manifest.manifest_hash, {"project": manifest.project}
        known = set(self._history.read("nodes", ["node_hash"])["node_hash"].to_pylist())
        new = {row["node_hash"] for row in manifest.nodes} - known
        # Nodes come after what belongs to them: a node that is "known" has its edges in the history.
        for table, rows in (
            ("node_dependencies", manifest.dependencies),
            ("exposures", manifest.exposures),
            ("nodes", manifest.nodes),
        ):
            # A file that a killed run left is complete: its rows are "known" now, and must not be replaced by none.
            if not self._history.has(table, day, identity):
                self._history.put(table, day, identity, ({**project, **row} for row in rows if row["node_hash"] in new))
        # Written last: it says that all of the manifest is there.
        self._history.put(
            "manifest_nodes",
            day,
            identity,
            (
                {"manifest_hash": identity, **project, "unique_id": row["unique_id"], "node_hash": row["node_hash"]}
                for row in manifest.nodes
            ),
        )
        reason = f"{len(manifest.nodes)} nodes, {len(new)} of them new"
        return self._verdict(document.path, Verdict.ACCEPTED, reason, document, manifest.tolerated)

    def _collect_results(self, document: Document) -> Row:
        day, identity = document.generated_at.date(), document.invocation_id
        if self._history.has("invocations", day, identity):
            return self._verdict(document.path, Verdict.DUPLICATE, "this invocation was collected before", document)
        results = read_results(document)
        context, manifest = self._context, self._manifest
        run = {
            "project": self._project(document),
            "environment": self._environment(document, results.invocation["target"]),
            "invocation_id": identity,
            "generated_at": document.generated_at,
        }
        is_partial = context.was_interrupted and document.kind is Kind.RUN_RESULTS
        origin = Origin(
            **{
                name: document.env.get(f"OFFDAG_{name.upper()}") or getattr(context.origin, name)
                for name in Origin.__dataclass_fields__
            }
        )
        self._keep_raw(document)
        table = "node_results" if document.kind is Kind.RUN_RESULTS else "source_freshness"
        extra = {"is_build": results.is_build} if document.kind is Kind.RUN_RESULTS else {}
        self._history.put(table, day, identity, ({**run, **extra, **row} for row in results.rows))
        invocation = {
            **run,
            **results.invocation,
            "job_id": self._job_id(document),
            "is_partial": is_partial,
            "dbt_version": document.dbt_version,
            "adapter_type": document.adapter_type or (manifest.adapter_type if manifest else None),
            "started_at": document.started_at,
            "tolerated_count": results.tolerated,
            "manifest_hash": manifest.manifest_hash if manifest else None,
            "manifest_invocation_id": manifest.invocation_id if manifest else None,
            "artifact_sha256": document.sha256,
            "git_sha": origin.git_sha,
            "git_branch": origin.git_branch,
            "actor": origin.actor,
            "ci_url": origin.ci_url,
        }
        # Written last: it says that all of the invocation is there.
        self._history.put("invocations", day, identity, [invocation])
        self.invocations.append(invocation)
        verdict, reason = Verdict.ACCEPTED, f"{len(results.rows)} results"
        if document.kind is Kind.RUN_RESULTS and not results.is_build:
            verdict, reason = (
                Verdict.OTHER_COMMAND,
                f"written by dbt {results.invocation['command']}: no evidence of a build",
            )
        elif is_partial:
            verdict, reason = Verdict.PARTIAL, f"{len(results.rows)} results, then dbt was stopped"
        elif not results.rows:
            verdict, reason = Verdict.EMPTY, "holds no results: nothing was selected, or every query failed"
        return self._verdict(document.path, verdict, reason, document, results.tolerated)

    def _unreadable(self, path: Path, problem: UnreadableArtifact, document: Document | None = None) -> Row:
        """Keep what cannot be read, for the version of offdag that can, and tell."""
        row = self._verdict(path, problem.verdict, problem.reason, document)
        try:
            content = path.read_bytes()
        except OSError:
            return row
        row["sha256"] = hashlib.sha256(content).hexdigest()
        today = utc_now().date()
        self._history.keep_raw(
            row["project"], row["environment"], today, f"unreadable-{row['sha256'][:32]}", path.name, content
        )
        return row

    def _keep_raw(self, document: Document) -> None:
        self._history.keep_raw(
            self._project(document),
            self._environment(document, None),
            document.generated_at.date(),
            document.invocation_id,
            f"{document.kind.value}.json",
            document.content,
        )

    def _project(self, document: Document | None) -> str:
        named = (
            self._context.project or (document and document.project_name) or (self._manifest and self._manifest.project)
        )
        return named or self._project_around or UNKNOWN

    @cached_property
    def _project_around(self) -> str | None:
        """The name in the dbt_project.yml that the folder lies below, read once."""
        around = find_project(self._paths[0].parent)
        return around.name if around else None

    def _environment(self, document: Document | None, target: str | None) -> str:
        told = document.env.get("OFFDAG_ENVIRONMENT") if document else None
        return self._context.environment or told or target or UNKNOWN

    def _job_id(self, document: Document | None) -> str | None:
        return self._context.job_id or (document.env.get("OFFDAG_JOB_ID") if document else None)

    def _verdict(
        self, path: Path, verdict: Verdict, reason: str, document: Document | None = None, tolerated: int = 0
    ) -> Row:
        try:
            size = path.stat().st_size
        except OSError:
            size = None
        return {
            "project": self._project(document),
            "environment": self._environment(document, None),
            "job_id": self._job_id(document),
            "path": str(path),
            "kind": document.kind.value if document else path.stem,
            "verdict": verdict.value,
            "reason": reason,
            "size_bytes": size,
            "sha256": document.sha256 if document else None,
            "schema_version": document.version if document else None,
            "dbt_version": document.dbt_version if document else None,
            "invocation_id": document.invocation_id if document else None,
            "tolerated_count": tolerated,
        }


def _artifacts_in(folder: Path) -> list[Path]:
    return [path for path in (folder / name for name in _FILE_NAMES) if path.is_file()]


def _fingerprint(path: Path) -> Fingerprint:
    status = path.stat()
    return status.st_mtime_ns, status.st_size, status.st_ino
