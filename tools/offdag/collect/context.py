"""What is known about artifacts besides their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from offdag.artifacts.document import Document, Kind
from offdag.collect.places import ArtifactFile, Fingerprint
from offdag.environment import resolve_environment
from offdag.origin import Origin, web_address


@dataclass(frozen=True)
class Context:
    """What the caller knows about the artifacts, which they may not hold themselves.

    Attributes:
        project: Recorded for all; None to read it from the manifest or dbt_project.yml.
        environment: Recorded for all; None to read it from the artifacts.
        job_id: Groups the invocations of a job; None to read it from the artifacts.
        origin: Where the job runs.
        was_interrupted: dbt was stopped, so results are partial.
        before: Fingerprints of the files as they were before dbt started: unchanged files are from an earlier run.
        secrets: Values that must not reach a table.
        is_project_given: The user named the project: it is not compared with what the history has under that name.
        project_variables: Those of dbt_project.yml when dbt started, as :meth:`DbtProject.variable_hashes` gives them.
    """

    project: str | None = None
    environment: str | None = None
    job_id: str | None = None
    origin: Origin = field(default_factory=Origin)
    was_interrupted: bool = False
    before: Mapping[ArtifactFile, Fingerprint] = field(default_factory=dict)
    secrets: tuple[str, ...] = field(default=(), repr=False)
    is_project_given: bool = False
    project_variables: str | None = None


@dataclass(frozen=True)
class ManifestRef:
    """A manifest whose rows are in the history.

    Attributes:
        manifest_hash: Hash of its nodes.
        project: Its project.
        adapter_type: Such as duckdb.
        invocation_id: The dbt command that wrote it.
        generated_at: Naive UTC.
        folder: Folder in which it was found.
        artifact: Name in the store of the raw manifest with its content, its own or an earlier one's.
        is_conflict: It belongs to another project of the same name, and was refused.
    """

    manifest_hash: str
    project: str
    adapter_type: str | None
    invocation_id: str
    generated_at: datetime
    folder: str
    artifact: str | None
    is_conflict: bool = False


@dataclass(frozen=True)
class RunContext:
    """What the collector decided about one invocation; kept beside the raw artifact, so that its rows can be rebuilt.

    Attributes:
        project: Recorded with each row.
        environment: Recorded with each row.
        job_id: Groups the invocations of a job.
        is_partial: dbt was stopped before its end.
        adapter_type: Such as duckdb.
        manifest_hash: Hash of the manifest that names the invocation's nodes; None where there was none.
        manifest_invocation_id: The dbt command that wrote that manifest, often another one.
        manifest_artifact: Name in the store of the raw manifest; None where there was none, or an older offdag collected it.
        manifest_generated_at: When that manifest was written, naive UTC.
        project_variables: Those of dbt_project.yml when dbt started; None where they are not known.
    """

    project: str
    environment: str
    job_id: str | None
    is_partial: bool
    adapter_type: str | None
    manifest_hash: str | None
    manifest_invocation_id: str | None
    manifest_artifact: str | None
    manifest_generated_at: datetime | None
    origin: Origin
    project_variables: str | None = None

    @classmethod
    def settle(
        cls, document: Document, target: str | None, manifest: ManifestRef | None, project: str, context: Context
    ) -> RunContext:
        """Combine both sources: the caller's values win over the artifact's, except for the origin."""
        carried = {name: document.env.get(f"OFFDAG_{name.upper()}") for name in Origin.__dataclass_fields__}
        carried["repository_url"] = web_address(carried["repository_url"])
        return cls(
            project=project,
            environment=resolve_environment(context.environment, document.env.get("OFFDAG_ENVIRONMENT"), target),
            job_id=context.job_id or document.env.get("OFFDAG_JOB_ID"),
            is_partial=context.was_interrupted and document.kind is Kind.RUN_RESULTS,
            adapter_type=document.adapter_type or (manifest.adapter_type if manifest else None),
            manifest_hash=manifest.manifest_hash if manifest else None,
            manifest_invocation_id=manifest.invocation_id if manifest else None,
            manifest_artifact=manifest.artifact if manifest else None,
            manifest_generated_at=manifest.generated_at if manifest else None,
            origin=Origin(**{name: value or getattr(context.origin, name) for name, value in carried.items()}),
            project_variables=context.project_variables,
        )

    def as_json(self) -> dict[str, Any]:
        """A document that :meth:`from_json` reads."""
        at = self.manifest_generated_at
        return {**asdict(self), "manifest_generated_at": at.isoformat() if at else None}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> RunContext:
        """The context that :meth:`as_json` wrote; an older offdag wrote fewer fields."""
        origin = Origin(**{k: v for k, v in document["origin"].items() if k in Origin.__dataclass_fields__})
        known: dict[str, Any] = {k: document.get(k) for k in cls.__dataclass_fields__}
        at = known["manifest_generated_at"]
        return cls(**{**known, "origin": origin, "manifest_generated_at": datetime.fromisoformat(at) if at else None})
