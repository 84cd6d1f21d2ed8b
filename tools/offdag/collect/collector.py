"""Artifact files to history, one by one. Every file gets a verdict, and one bad file never stops the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from offdag.artifacts.catalog import read_catalog
from offdag.artifacts.document import Document, Kind, UnreadableArtifact, Verdict, parse_document
from offdag.artifacts.manifest import Manifest, read_manifest
from offdag.artifacts.results import BUILD_COMMANDS, Results, read_results
from offdag.artifacts.values import Row
from offdag.collect.conflicts import OTHER_ADAPTER, OTHER_NODES, Adapters, is_other_project
from offdag.collect.context import Context, ManifestRef, RunContext
from offdag.collect.identity import Identities
from offdag.collect.places import ArtifactFile
from offdag.collect.rows import TableRows, catalog_rows, manifest_rows, results_rows
from offdag.dbt.project import find_project
from offdag.dbt.redaction import redacted
from offdag.environment import UNKNOWN, resolve_environment
from offdag.history.history import History
from offdag.history.raw import InvocationFolder, keep_artifact, keep_unreadable, kept_artifact, read_artifact

# Verdicts on artifacts that gave no rows, as the history records them.
REFUSED = frozenset(verdict.value for verdict in (Verdict.UNREADABLE, Verdict.UNSUPPORTED, Verdict.CONFLICT))

# How many of a project's newest manifests are compared with a new one: jobs and targets of one project have their own manifests.
_COMPARED_MANIFESTS = 5


class Manifests:
    """The manifests that were collected so far, to find the one that names an artifact's nodes."""

    def __init__(self) -> None:
        self._by_invocation: dict[str, list[ManifestRef]] = {}
        self._by_folder: dict[str, list[ManifestRef]] = {}

    def add(self, ref: ManifestRef) -> None:
        """Add a manifest; the same one again changes nothing."""
        for refs in (
            self._by_invocation.setdefault(ref.invocation_id, []),
            self._by_folder.setdefault(ref.folder, []),
        ):
            if ref not in refs:
                refs.append(ref)

    def of(self, document: Document, folder: str) -> ManifestRef | None:
        """The manifest of the same dbt command, in any folder; else the last one before the artifact in its folder."""
        same = self._by_invocation.get(document.invocation_id, [])
        # Several runs may share an id.
        found = [ref for ref in same if ref.folder == folder] or same or self._by_folder.get(folder, [])
        in_order = sorted(found, key=lambda ref: ref.generated_at)
        before = [ref for ref in in_order if ref.generated_at <= document.generated_at]
        return before[-1] if before else next(iter(in_order), None)


@dataclass(frozen=True)
class CollectedArtifact:
    """The result of collecting one artifact file.

    Attributes:
        verdict: ``artifact_verdicts`` row, without the time.
        invocation: ``invocations`` row that was written; None for other artifacts, and for those that were collected before.
        manifest: The manifest, where the artifact is one.
        args: What dbt wrote into ``args``; empty for artifacts without.
    """

    verdict: Row
    invocation: Row | None = None
    manifest: ManifestRef | None = None
    args: Row = field(default_factory=dict)

    @property
    def is_refused(self) -> bool:
        return self.verdict["verdict"] in REFUSED


class Collector:
    """Collects file by file; manifests come first, since they name the project and the nodes of the others.

    Args:
        history: Gets the artifacts and their rows.
        context: What the caller knows.
        manifests: Found so far; the caller adds to it.
    """

    def __init__(self, history: History, context: Context, manifests: Manifests) -> None:
        self._history = history
        self._context = context
        self._manifests = manifests
        self._project_around = cache(_project_around)
        self._invocations = Identities(history, "invocations")
        self._catalogs = Identities(history, "catalogs")
        self._adapters = Adapters(history)

    def collect(self, file: ArtifactFile) -> CollectedArtifact:
        """Read an artifact, keep it, and write its rows.

        Raises:
            HistoryError: The history cannot be written. What was written stays valid, and collecting again completes it.
        """
        document = content = None
        try:
            if self._context.before and self._context.before.get(file) == file.fingerprint():
                return self._verdict(file, Verdict.STALE, "existed before dbt started: it is from an earlier run")
            content = file.read()
            document = parse_document(file.name, content)
            return self._keeper(document.kind)(file, document)
        except UnreadableArtifact as problem:
            return self._refused(file, problem, document, content)
        except OSError as error:
            reason = f"cannot be opened: {error.strerror or error}"
            return self._refused(file, UnreadableArtifact(Verdict.UNREADABLE, reason), document, content)
        except (ValueError, OverflowError, RecursionError, MemoryError, pa.ArrowException) as error:
            # Values that no table can hold, such as numbers of a thousand digits, and archives that cannot be unpacked.
            reason = f"holds a value that cannot be kept: {error}" if content is not None else str(error)
            return self._refused(file, UnreadableArtifact(Verdict.UNREADABLE, reason[:200]), document, content)

    def _keeper(self, kind: Kind) -> Callable[[ArtifactFile, Document], CollectedArtifact]:
        return {Kind.MANIFEST: self._keep_manifest, Kind.CATALOG: self._keep_catalog}.get(kind, self._keep_results)

    def _keep_manifest(self, file: ArtifactFile, document: Document) -> CollectedArtifact:
        named = self._context.project or document.project_name or self._project_around(file.folder)
        # The same bytes may belong to two projects, where they do not name theirs.
        content_key = hashlib.sha256(f"{named or document.project_id}|{document.content_hash}".encode()).hexdigest()
        known = self._history.known("manifests", content_key)
        # An older offdag did not record which raw manifest has the content.
        if known and "artifact" in known:
            ref = _ref(known, file, document)
            reason = "has the content of an earlier manifest"
            return replace(self._verdict(file, Verdict.DUPLICATE, reason, document, project=ref.project), manifest=ref)
        manifest = read_manifest(document, named)
        project = manifest.project or UNKNOWN
        new: set[str] = set()
        # Another manifest may hold the same nodes in other bytes.
        is_new = not self._history.known("manifest_nodes", manifest.manifest_hash)
        if is_new:
            new = self._new_nodes(manifest, project)
            if self._is_conflict(document, manifest, project, new):
                refused = self._refused(
                    file, UnreadableArtifact(Verdict.CONFLICT, OTHER_NODES), document, document.content
                )
                known = {
                    "manifest_hash": manifest.manifest_hash,
                    "project": project,
                    "adapter_type": None,
                    "artifact": None,
                }
                return replace(refused, manifest=replace(_ref(known, file, document), is_conflict=True))
        artifact = self._keep_raw(document, RunContext.settle(document, None, None, project, self._context))
        if is_new:
            for part in manifest_rows(document, manifest, project, new.__contains__):
                # A file that a killed run left is complete: its nodes are known now, and must not be replaced by no rows.
                if part.table == "manifest_nodes" or not self._history.has(part.table, part.run_date, part.identity):
                    self._put(part)
            entry = [document.generated_at.date().isoformat(), manifest.manifest_hash]
            newest = sorted([entry, *(e for e in self._newest_manifests(project) if e != entry)], reverse=True)
            self._history.note("newest_manifests", project, {"manifests": newest[:_COMPARED_MANIFESTS]})
            self._history.note("manifest_nodes", manifest.manifest_hash, {"generated_at": str(document.generated_at)})
        noted: Row = {
            "manifest_hash": manifest.manifest_hash,
            "project": project,
            "adapter_type": document.adapter_type,
            "artifact": artifact,
        }
        self._history.note("manifests", content_key, noted)
        ref = _ref(noted, file, document)
        reason = f"{len(manifest.nodes)} nodes, {len(new)} of them new"
        collected = self._verdict(
            file, Verdict.ACCEPTED, reason, document, tolerated_count=manifest.tolerated, project=project
        )
        return replace(collected, manifest=ref)

    def _new_nodes(self, manifest: Manifest, project: str) -> set[str]:
        """Hashes of nodes that the project's newest manifests do not hold.

        A node that only an older manifest held is written again, and the monitor's staging keeps one row of each.
        """
        hashes = {row["node_hash"] for row in manifest.nodes}
        for day, manifest_hash in self._newest_manifests(project):
            if hashes:
                kept = self._history.read_identity(
                    "manifest_nodes", date.fromisoformat(day), manifest_hash, "manifest_hash", ["node_hash"]
                )
                hashes -= set(kept["node_hash"].to_pylist())
        return hashes

    def _is_conflict(self, document: Document, manifest: Manifest, project: str, new: set[str]) -> bool:
        if self._context.is_project_given or len(new) < len(manifest.nodes):
            return False
        kept = ((date.fromisoformat(day), manifest_hash) for day, manifest_hash in self._newest_manifests(project))
        return is_other_project(self._history, manifest, document.generated_at.date(), kept)

    def _newest_manifests(self, project: str) -> list[list[str]]:
        """Date and hash of a project's newest manifests, the newest first."""
        noted = self._history.known("newest_manifests", project) or {}
        return list(noted.get("manifests", []))

    def _keep_results(self, file: ArtifactFile, document: Document) -> CollectedArtifact:
        identity = self._invocations.of(document)
        if identity.is_kept:
            document = replace(document, invocation_id=identity.invocation_id)
            return self._verdict(file, Verdict.DUPLICATE, "this invocation was collected before", document)
        results = read_results(document, lambda text: redacted(text, self._context.secrets))
        settled = self._settled(file, document, results.invocation["target"])
        is_judged = not self._context.is_project_given and settled.environment != UNKNOWN
        if is_judged and self._adapters.is_other(document, settled):
            raise UnreadableArtifact(Verdict.CONFLICT, f"{OTHER_ADAPTER}: {settled.adapter_type}")
        document = replace(document, invocation_id=identity.invocation_id)
        self._keep_raw(document, settled)
        parts = results_rows(document, results, settled)
        for part in parts:
            self._put(part)
        self._adapters.note(document, settled)
        verdict, reason = _verdict_of(results, settled.is_partial)
        if identity.is_made:
            reason += "; another run has its invocation id, so this one is kept under an id of its own"
        collected = self._verdict(file, verdict, reason, document, tolerated_count=results.tolerated, **_place(settled))
        invocation = {name: values[0] for name, values in parts[-1].columns.items()}
        return replace(collected, invocation=invocation, args=results.args)

    def _keep_catalog(self, file: ArtifactFile, document: Document) -> CollectedArtifact:
        identity = self._catalogs.of(document)
        if identity.is_kept:
            return self._verdict(file, Verdict.DUPLICATE, "this catalog was collected before", document)
        catalog = read_catalog(document)
        settled = self._settled(file, document, None)
        document = replace(document, invocation_id=identity.invocation_id)
        self._keep_raw(document, settled)
        content_key = f"{settled.project}-{catalog.catalog_hash}"
        is_new = self._history.known("catalogs", content_key) is None
        for part in catalog_rows(document, catalog, settled, is_new):
            self._put(part)
        self._history.note("catalogs", content_key, {"generated_at": str(document.generated_at)})
        reason = f"{len(catalog.columns)} columns" + ("" if is_new else ", as in an earlier one")
        return self._verdict(
            file, Verdict.ACCEPTED, reason, document, tolerated_count=catalog.tolerated, **_place(settled)
        )

    def _settled(self, file: ArtifactFile, document: Document, target: str | None) -> RunContext:
        manifest = self._manifests.of(document, file.folder)
        if manifest and manifest.is_conflict:
            raise UnreadableArtifact(Verdict.CONFLICT, OTHER_NODES)
        return RunContext.settle(document, target, manifest, self._project(file, document), self._context)

    def _put(self, part: TableRows) -> None:
        self._history.put_columns(part.table, part.run_date, part.identity, part.columns, part.constants)

    def _keep_raw(self, document: Document, context: RunContext) -> str:
        day = document.generated_at.date()
        folder = InvocationFolder(context.project, context.environment, day, document.invocation_id)
        kept = kept_artifact(self._history, folder, document.kind.value) if document.kind is Kind.MANIFEST else None
        # Another run with this id left another manifest; the same one is there where a collector was killed.
        if kept and read_artifact(self._history, kept) != document.content:
            folder = replace(folder, invocation_id=f"{document.invocation_id}-{document.sha256[:8]}")
        recorded = {**context.as_json(), "invocation_id": document.invocation_id}
        return keep_artifact(self._history, folder, document.kind.value, document.content, recorded)

    def _refused(
        self, file: ArtifactFile, problem: UnreadableArtifact, document: Document | None, content: bytes | None
    ) -> CollectedArtifact:
        """Keep a file that cannot be read, for a later offdag, and return its verdict."""
        collected = self._verdict(file, problem.verdict, problem.reason, document)
        row = collected.verdict
        if content is not None:
            row["sha256"] = keep_unreadable(self._history, row["project"], row["environment"], file.file_name, content)
        return collected

    def _project(self, file: ArtifactFile, document: Document | None) -> str:
        manifest = self._manifests.of(document, file.folder) if document else None
        named = self._context.project or (document and document.project_name) or (manifest and manifest.project)
        return named or self._project_around(file.folder) or UNKNOWN

    def _verdict(
        self,
        file: ArtifactFile,
        verdict: Verdict,
        reason: str,
        document: Document | None = None,
        **known: Any,
    ) -> CollectedArtifact:
        """The verdict row from the file and its document; ``known`` are columns that are already settled."""
        env = document.env if document else {}
        return CollectedArtifact(
            {
                "project": self._project(file, document),
                "environment": resolve_environment(self._context.environment, env.get("OFFDAG_ENVIRONMENT")),
                "job_id": self._context.job_id or env.get("OFFDAG_JOB_ID"),
                "path": file.shown_name,
                "kind": document.kind.value if document else file.file_name.split(".", 1)[0],
                "verdict": verdict.value,
                "reason": reason,
                "size_bytes": len(document.content) if document else None,
                "sha256": document.sha256 if document else None,
                "schema_version": document.version if document else None,
                "dbt_version": document.dbt_version if document else None,
                "invocation_id": document.invocation_id if document else None,
                "tolerated_count": 0,
                **known,
            }
        )


def _ref(noted: Row, file: ArtifactFile, document: Document) -> ManifestRef:
    # Two adapters may have the same content.
    own = {**noted, "adapter_type": document.adapter_type or noted["adapter_type"]}
    return ManifestRef(
        **own, invocation_id=document.invocation_id, generated_at=document.generated_at, folder=file.folder
    )


def _place(settled: RunContext) -> Row:
    return {"project": settled.project, "environment": settled.environment}


def _verdict_of(results: Results, is_partial: bool) -> tuple[Verdict, str]:
    if results.kind is Kind.RUN_RESULTS and not results.is_build:
        command = results.invocation["command"]
        why = "built no data or a sample of it" if command in BUILD_COMMANDS else "which is not a build"
        return Verdict.OTHER_COMMAND, f"is written by dbt {command}, {why}"
    if is_partial:
        return Verdict.PARTIAL, f"{results.row_count} results, then dbt was stopped"
    if not results.row_count:
        return Verdict.EMPTY, "holds no results: nothing was selected, or every query failed"
    return Verdict.ACCEPTED, f"{results.row_count} results"


def _project_around(folder: str) -> str | None:
    """The name in the dbt_project.yml above a local folder."""
    around = None if "://" in folder else find_project(Path(folder))
    return around.name if around else None
