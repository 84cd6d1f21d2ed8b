"""The raw artifacts, byte for byte, each with what only its collector knew. The tables can be rebuilt from them."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from offdag.clock import utc_now
from offdag.history.history import History, path_part

_CONTEXT = ".context"
_COMPRESSED = ".json.zst"
UNREADABLE = "unreadable-"


@dataclass(frozen=True)
class InvocationFolder:
    """Where the history keeps what one dbt command left.

    Attributes:
        project: dbt project.
        environment: Such as prod.
        day: UTC date of the artifact's generated_at.
        invocation_id: Names the dbt command.
    """

    project: str
    environment: str
    day: date
    invocation_id: str

    @property
    def name(self) -> str:
        """The folder's name in the store."""
        return (
            f"artifacts/project={path_part(self.project)}/environment={path_part(self.environment)}/"
            f"date={self.day.isoformat()}/{path_part(self.invocation_id)}"
        )


@dataclass(frozen=True)
class RawArtifact:
    """One artifact that the history keeps.

    Attributes:
        name: Name of its file in the store.
        kind: Stem of the artifact's usual file name, such as run_results.
        context: What was known besides the artifact when it was collected.
        day: UTC date of the artifact's own generated_at.
    """

    name: str
    kind: str
    context: dict[str, Any]
    day: date


def keep_artifact(
    history: History, folder: InvocationFolder, kind: str, content: bytes, context: dict[str, Any]
) -> str:
    """Keep an artifact byte for byte, compressed, and its context.

    Args:
        history: Keeps it.
        folder: Groups what one dbt command left.
        kind: Such as run_results.
        content: The file.
        context: JSON-able facts that :func:`kept_artifacts` returns.

    Returns:
        Its name in the store.
    """
    # The context comes first, so that every artifact has one.
    history.store.write(f"{folder.name}/{kind}{_CONTEXT}", json.dumps(context, sort_keys=True).encode())
    return _keep(history, f"{folder.name}/{kind}{_COMPRESSED}", content)


def keep_unreadable(history: History, project: str, environment: str, file_name: str, content: bytes) -> str:
    """Keep what this version cannot read, for a later one that can.

    Returns:
        SHA-256 of the content.
    """
    sha256 = hashlib.sha256(content).hexdigest()
    folder = InvocationFolder(project, environment, utc_now().date(), f"{UNREADABLE}{sha256[:32]}")
    _keep(history, f"{folder.name}/{path_part(file_name)}.zst", content)
    return sha256


def kept_artifacts(history: History) -> Iterator[RawArtifact]:
    """Every readable artifact that the history keeps, by date."""
    found = []
    for name in history.store.glob(f"artifacts/*/*/*/*/*{_COMPRESSED}"):
        *_, day, invocation, file_name = name.split("/")
        if not invocation.startswith(UNREADABLE):
            found.append((day.removeprefix("date="), name, file_name.removesuffix(_COMPRESSED)))
    for day, name, kind in sorted(found):
        context = json.loads(history.store.read(name.removesuffix(_COMPRESSED) + _CONTEXT))
        yield RawArtifact(name, kind, context, date.fromisoformat(day))


def kept_artifact(history: History, folder: InvocationFolder, kind: str) -> RawArtifact | None:
    """The artifact of a kind that one dbt command left; None where it is not kept."""
    stem = f"{folder.name}/{kind}"
    if not history.store.exists(stem + _COMPRESSED):
        return None
    return RawArtifact(stem + _COMPRESSED, kind, json.loads(history.store.read(stem + _CONTEXT)), folder.day)


def kept_manifest(history: History, results: RawArtifact) -> RawArtifact | None:
    """The manifest with the content that a run had; the same content is kept once, where it was first seen. None where it is not kept."""
    name = results.context.get("manifest_artifact")
    return RawArtifact(name, "manifest", {}, results.day) if name and history.store.exists(name) else None


def read_artifact(history: History, artifact: RawArtifact) -> bytes:
    """The bytes of a kept artifact, as dbt wrote them."""
    return decompressed(history.store.read(artifact.name))


def decompressed(content: bytes) -> bytes:
    """The content of a zstd file, also of one that does not record its size."""
    import zstandard

    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content), read_across_frames=True) as reader:
        return bytes(reader.read())


def raw_folders(history: History) -> Iterator[tuple[date, str]]:
    """Date and name of every invocation's folder."""
    for name in history.store.glob("artifacts/*/*/*/*"):
        yield date.fromisoformat(name.split("/")[3].removeprefix("date=")), name


def _keep(history: History, name: str, content: bytes) -> str:
    import zstandard

    if not history.store.exists(name):
        history.store.write(name, zstandard.ZstdCompressor(level=3).compress(content))
    return name
