"""Judges artifacts and keeps them. Every artifact found gets a verdict, and one bad file never stops the others."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pyarrow as pa

from offdag.artifacts.catalog import read_catalog
from offdag.artifacts.document import Document, Kind, UnreadableArtifact, Verdict, parse_document
from offdag.artifacts.manifest import read_manifest
from offdag.artifacts.results import Results, read_results
from offdag.artifacts.values import Row
from offdag.clock import utc_now
from offdag.collect.context import UNKNOWN, Context, ManifestRef, RunContext
from offdag.collect.places import ArtifactFile
from offdag.collect.rows import TableRows, catalog_rows, manifest_rows, results_rows
from offdag.dbt.project import find_project
from offdag.history.history import History
from offdag.history.raw import keep_artifact, keep_unreadable

_REFUSED = (Verdict.UNREADABLE, Verdict.UNSUPPORTED)


class Manifests:
    """The manifests at hand, to find the one that names an artifact's nodes."""

    def __init__(self) -> None:
        self._by_invocation: dict[str, ManifestRef] = {}
        self._by_folder: dict[str, dict[str, ManifestRef]] = {}

    def add(self, ref: ManifestRef) -> None:
        """Take a manifest in; the same one again changes nothing."""
        self._by_invocation[ref.invocation_id] = ref
        self._by_folder.setdefault(ref.folder, {})[ref.invocation_id] = ref

    def of(self, document: Document, folder: str) -> ManifestRef | None:
        """The manifest of the same dbt command, wherever it lies, else of those in the folder the last one before the artifact."""
        same = self._by_invocation.get(document.invocation_id)
        if same:
            return same
        near = sorted(self._by_folder.get(folder, {}).values(), key=lambda ref: ref.generated_at)
        before = [ref for ref in near if ref.generated_at <= document.generated_at]
        return before[-1] if before else next(iter(near), None)


@dataclass(frozen=True)
class Judged:
    """What became of one artifact.

    Attributes:
        verdict: ``artifact_verdicts`` row, without the time.
        invocation: ``invocations`` row that was written.
        manifest: The manifest, where the artifact is one.
    """

    verdict: Row
    invocation: Row | None = None
    manifest: ManifestRef | None = None

    @property
    def is_refused(self) -> bool:
        return self.verdict["verdict"] in {verdict.value for verdict in _REFUSED}


class Collector:
    """Judges artifact by artifact; manifests come first, since they name the project and the nodes of the others.

    Args:
        history: Where to.
        context: What the caller knows.
        manifests: Found so far; the caller adds to it.
    """

    def __init__(self, history: History, context: Context, manifests: Manifests) -> None:
        self._history = history
        self._context = context
        self._manifests = manifests
        self._project_around = cache(_project_around)

    def judge(self, file: ArtifactFile) -> Judged:
        """Read an artifact, keep it, and write its rows.

        Raises:
            HistoryError: The history cannot be written. What was written stays valid, and collecting again completes it.
        """
        document = None
        try:
            if self._context.before and self._context.before.get(file) == file.fingerprint():
                return self._told(file, Verdict.STALE, "was there before dbt started: of an earlier run")
            document = parse_document(file.name, file.read())
            return self._keeper(document.kind)(file, document)
        except UnreadableArtifact as problem:
            return self._refused(file, problem, document)
        except OSError as error:
            reason = f"cannot be opened: {error.strerror or error}"
            return self._refused(file, UnreadableArtifact(Verdict.UNREADABLE, reason), document)
        except (ValueError, OverflowError, RecursionError, pa.ArrowException) as error:
            # Values that no table can hold, such as numbers of a thousand digits.
            reason = f"holds a value that cannot be kept: {error}"[:200]
            return self._refused(file, UnreadableArtifact(Verdict.UNREADABLE, reason), document)

    def _keeper(self, kind: Kind) -> Callable[[ArtifactFile, Document], Judged]:
        return {Kind.MANIFEST: self._keep_manifest, Kind.CATALOG: self._keep_catalog}.get(kind, self._keep_results)

    def _keep_manifest(self, file: ArtifactFile, document: Document) -> Judged:
        told = self._context.project or document.project_name or self._project_around(file.folder)
        # The same bytes may be of two projects, where they do not tell which.
        content_key = hashlib.sha256(f"{told or document.project_id}|{document.content_hash}".encode()).hexdigest()
        known = self._history.known("manifests", content_key)
        # An older offdag did not note which raw manifest holds the content.
        if known and "artifact" in known:
            ref = _ref(known, file, document)
            reason = "holds what an earlier manifest held"
            return replace(self._told(file, Verdict.DUPLICATE, reason, document, project=ref.project), manifest=ref)
        manifest = read_manifest(document, told)
        project = manifest.project or UNKNOWN
        artifact = self._keep_raw(document, RunContext.settle(document, None, None, project, self._context))
        new: set[str] = set()
        # Another manifest may have held the same in other words.
        if not self._history.known("manifest_nodes", manifest.manifest_hash):
            hashes = set(self._history.read("nodes", ["node_hash"])["node_hash"].to_pylist())
            new = {row["node_hash"] for row in manifest.nodes} - hashes
            for part in manifest_rows(document, manifest, project, new.__contains__):
                # A file that a killed run left is complete: its rows are known now, and must not be replaced by none.
                if part.table == "manifest_nodes" or not self._history.has(part.table, part.run_date, part.identity):
                    self._put(part)
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
        judged = self._told(file, Verdict.ACCEPTED, reason, document, manifest.tolerated, project)
        return replace(judged, manifest=ref)

    def _keep_results(self, file: ArtifactFile, document: Document) -> Judged:
        if self._history.has("invocations", document.generated_at.date(), document.invocation_id):
            return self._told(file, Verdict.DUPLICATE, "this invocation was collected before", document)
        results = read_results(document)
        settled = self._settled(file, document, results.invocation["target"])
        self._keep_raw(document, settled)
        parts = results_rows(document, results, settled)
        for part in parts:
            self._put(part)
        verdict, reason = _verdict_of(results, settled.is_partial)
        judged = self._told(file, verdict, reason, document, results.tolerated, settled.project, settled.environment)
        return replace(judged, invocation={name: values[0] for name, values in parts[-1].columns.items()})

    def _keep_catalog(self, file: ArtifactFile, document: Document) -> Judged:
        if self._history.has("catalogs", document.generated_at.date(), document.invocation_id):
            return self._told(file, Verdict.DUPLICATE, "this catalog was collected before", document)
        catalog = read_catalog(document)
        settled = self._settled(file, document, None)
        self._keep_raw(document, settled)
        content_key = f"{settled.project}-{catalog.catalog_hash}"
        is_new = self._history.known("catalogs", content_key) is None
        for part in catalog_rows(document, catalog, settled, is_new):
            self._put(part)
        self._history.note("catalogs", content_key, {"generated_at": str(document.generated_at)})
        reason = f"{len(catalog.columns)} columns" + ("" if is_new else ", as in an earlier one")
        return self._told(
            file, Verdict.ACCEPTED, reason, document, catalog.tolerated, settled.project, settled.environment
        )

    def _settled(self, file: ArtifactFile, document: Document, target: str | None) -> RunContext:
        manifest = self._manifests.of(document, file.folder)
        return RunContext.settle(document, target, manifest, self._project(file, document), self._context)

    def _put(self, part: TableRows) -> None:
        self._history.put_columns(part.table, part.run_date, part.identity, part.columns, part.constants)

    def _keep_raw(self, document: Document, context: RunContext) -> str:
        return keep_artifact(
            self._history,
            context.project,
            context.environment,
            document.generated_at.date(),
            document.invocation_id,
            document.kind.value,
            document.content,
            context.as_json(),
        )

    def _refused(self, file: ArtifactFile, problem: UnreadableArtifact, document: Document | None) -> Judged:
        """Keep what cannot be read, for the version of offdag that can, and tell."""
        judged = self._told(file, problem.verdict, problem.reason, document)
        try:
            content = file.read()
        except (OSError, ValueError):
            return judged
        row = judged.verdict
        row["sha256"] = hashlib.sha256(content).hexdigest()
        keep_unreadable(
            self._history,
            row["project"],
            row["environment"],
            utc_now().date(),
            row["sha256"],
            file.file_name,
            content,
        )
        return judged

    def _project(self, file: ArtifactFile, document: Document | None) -> str:
        manifest = self._manifests.of(document, file.folder) if document else None
        named = self._context.project or (document and document.project_name) or (manifest and manifest.project)
        return named or self._project_around(file.folder) or UNKNOWN

    def _told(
        self,
        file: ArtifactFile,
        verdict: Verdict,
        reason: str,
        document: Document | None = None,
        tolerated: int = 0,
        project: str | None = None,
        environment: str | None = None,
    ) -> Judged:
        env = document.env if document else {}
        return Judged(
            {
                "project": project or self._project(file, document),
                "environment": environment or self._context.environment or env.get("OFFDAG_ENVIRONMENT") or UNKNOWN,
                "job_id": self._context.job_id or env.get("OFFDAG_JOB_ID"),
                "path": file.name,
                "kind": document.kind.value if document else file.file_name.split(".", 1)[0],
                "verdict": verdict.value,
                "reason": reason,
                "size_bytes": len(document.content) if document else None,
                "sha256": document.sha256 if document else None,
                "schema_version": document.version if document else None,
                "dbt_version": document.dbt_version if document else None,
                "invocation_id": document.invocation_id if document else None,
                "tolerated_count": tolerated,
            }
        )


def _ref(noted: Row, file: ArtifactFile, document: Document) -> ManifestRef:
    return ManifestRef(
        **noted, invocation_id=document.invocation_id, generated_at=document.generated_at, folder=file.folder
    )


def _verdict_of(results: Results, is_partial: bool) -> tuple[Verdict, str]:
    if results.kind is Kind.RUN_RESULTS and not results.is_build:
        return Verdict.OTHER_COMMAND, f"written by dbt {results.invocation['command']}: no evidence of a build"
    if is_partial:
        return Verdict.PARTIAL, f"{results.row_count} results, then dbt was stopped"
    if not results.row_count:
        return Verdict.EMPTY, "holds no results: nothing was selected, or every query failed"
    return Verdict.ACCEPTED, f"{results.row_count} results"


def _project_around(folder: str) -> str | None:
    """The name in the dbt_project.yml that a local folder lies below."""
    around = None if "://" in folder else find_project(Path(folder))
    return around.name if around else None
