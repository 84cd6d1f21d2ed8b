"""The raw artifacts: each one byte for byte, and beside it what only its collector knew. Tables can be made from them again."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from offdag.history.history import History, path_part

_CONTEXT = ".context"
_COMPRESSED = ".json.zst"
_UNREADABLE = "unreadable-"


@dataclass(frozen=True)
class RawArtifact:
    """One artifact that the history keeps.

    Attributes:
        name: Of its file in the store.
        kind: Stem of the artifact's usual file name, such as run_results.
        context: What was known beside the artifact when it was collected.
        day: UTC date of the artifact's own generated_at.
    """

    name: str
    kind: str
    context: dict[str, Any]
    day: date


def keep_artifact(
    history: History,
    project: str,
    environment: str,
    day: date,
    invocation_id: str,
    kind: str,
    content: bytes,
    context: dict[str, Any],
) -> str:
    """Keep an artifact byte for byte, compressed, and its context.

    Args:
        history: Where.
        project: dbt project.
        environment: Such as prod.
        day: UTC date of its generated_at.
        invocation_id: Groups what one dbt command left.
        kind: Such as run_results.
        content: The file.
        context: JSON-able facts that :func:`kept_artifacts` gives back.

    Returns:
        Its name in the store.
    """
    folder = _folder(project, environment, day, invocation_id)
    # The context comes first: an artifact that is there has its own.
    history.store.write(f"{folder}/{kind}{_CONTEXT}", json.dumps(context, sort_keys=True).encode())
    return _keep(history, f"{folder}/{kind}{_COMPRESSED}", content)


def keep_unreadable(
    history: History, project: str, environment: str, day: date, sha256: str, file_name: str, content: bytes
) -> None:
    """Keep what nobody can read, for the version of offdag that can."""
    folder = _folder(project, environment, day, f"{_UNREADABLE}{sha256[:32]}")
    _keep(history, f"{folder}/{path_part(file_name)}.zst", content)


def kept_artifacts(history: History) -> Iterator[RawArtifact]:
    """Every readable artifact that the history keeps, by date."""
    found = []
    for name in history.store.glob(f"artifacts/*/*/*/*/*{_COMPRESSED}"):
        *_, day, invocation, file_name = name.split("/")
        if not invocation.startswith(_UNREADABLE):
            found.append((day.removeprefix("date="), name, file_name.removesuffix(_COMPRESSED)))
    for day, name, kind in sorted(found):
        context = json.loads(history.store.read(name.removesuffix(_COMPRESSED) + _CONTEXT))
        yield RawArtifact(name, kind, context, date.fromisoformat(day))


def kept_artifact(
    history: History, project: str, environment: str, day: date, invocation_id: str, kind: str
) -> RawArtifact | None:
    """What one dbt command left of a kind; None where that is not kept."""
    stem = f"{_folder(project, environment, day, invocation_id)}/{kind}"
    if not history.store.exists(stem + _COMPRESSED):
        return None
    return RawArtifact(stem + _COMPRESSED, kind, json.loads(history.store.read(stem + _CONTEXT)), day)


def read_artifact(history: History, artifact: RawArtifact) -> bytes:
    """The bytes of a kept artifact, as dbt wrote them."""
    return decompressed(history.store.read(artifact.name))


def decompressed(content: bytes) -> bytes:
    """The content of a zstd file, also of one that does not tell its size."""
    import zstandard

    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(content), read_across_frames=True) as reader:
        return bytes(reader.read())


def raw_folders(history: History) -> Iterator[tuple[date, str]]:
    """Date and name of every invocation's folder."""
    for name in history.store.glob("artifacts/*/*/*/*"):
        yield date.fromisoformat(name.split("/")[3].removeprefix("date=")), name


def _folder(project: str, environment: str, day: date, invocation_id: str) -> str:
    return (
        f"artifacts/project={path_part(project)}/environment={path_part(environment)}/date={day.isoformat()}/"
        f"{path_part(invocation_id)}"
    )


def _keep(history: History, name: str, content: bytes) -> str:
    import zstandard

    if not history.store.exists(name):
        history.store.write(name, zstandard.ZstdCompressor(level=3).compress(content))
    return name
