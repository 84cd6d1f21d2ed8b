"""One artifact file: its bytes and its metadata, which is read before anything else."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from functools import cached_property
from typing import Any

import msgspec

from offdag.artifacts.timestamps import parse_instant
from offdag.artifacts.values import text


class Kind(Enum):
    """The artifacts that offdag reads; the value is the file's usual stem."""

    RUN_RESULTS = "run_results"
    SOURCES = "sources"
    # dbt 2.0's `dbt freshness`: sources and models.
    FRESHNESS = "freshness"
    MANIFEST = "manifest"
    CATALOG = "catalog"


class Verdict(Enum):
    """The result of collecting an artifact."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    STALE = "stale"
    OTHER_COMMAND = "other command"
    PARTIAL = "partial"
    EMPTY = "empty"
    UNREADABLE = "unreadable"
    UNSUPPORTED = "unsupported"
    CONFLICT = "conflict"


class UnreadableArtifact(Exception):
    """A file that gives no rows.

    Attributes:
        verdict: UNREADABLE, UNSUPPORTED or CONFLICT.
        reason: Why, for the verdict row.
    """

    def __init__(self, verdict: Verdict, reason: str) -> None:
        super().__init__(verdict, reason)
        self.verdict = verdict
        self.reason = reason

    def __str__(self) -> str:
        return self.reason


class Parts(msgspec.Struct):
    """The top-level sections of an artifact, not decoded yet; empty where the file lacks them.

    Attributes:
        metadata: Of all artifacts.
        results: Of run_results, sources and freshness files.
        args: Of run_results.
        elapsed_time: Of run_results, sources and freshness files.
    """

    metadata: msgspec.Raw = msgspec.Raw()
    results: msgspec.Raw = msgspec.Raw()
    args: msgspec.Raw = msgspec.Raw()
    elapsed_time: msgspec.Raw = msgspec.Raw()


@dataclass(frozen=True)
class Document:
    """An artifact whose metadata could be read.

    Attributes:
        name: Path or URL, for messages.
        content: The whole file, unpacked and unchanged.
        readable: The content for a JSON decoder, with lone surrogates replaced.
        sha256: Hash of the content.
        kind: Which artifact it is, by its schema URL.
        version: Schema version, such as 6.
        dbt_version: The dbt that wrote it.
        invocation_id: As written, where it is a plain id, else made from the content: safe in a file name.
        generated_at: Naive UTC.
        started_at: Naive UTC; None before dbt 1.10 and in 2.0's run_results.
        env: ``DBT_ENV_CUSTOM_ENV_*`` of the run, without the prefix; empty for a manifest, which partial parsing leaves with those of an
            earlier run.
        project_name: Name of the root project; None before manifest v12, and for other artifacts.
        project_id: MD5 of the project's name; None for artifacts without one.
        adapter_type: Such as duckdb; None for artifacts without one.
        parts: The file's sections, not decoded yet.
        replaced_count: Number of lone surrogates, which no encoding can hold; each was replaced by U+FFFD.
    """

    name: str
    content: bytes
    readable: bytes
    sha256: str
    kind: Kind
    version: int
    dbt_version: str | None
    invocation_id: str
    generated_at: datetime
    started_at: datetime | None
    env: dict[str, str]
    project_name: str | None
    project_id: str | None
    adapter_type: str | None
    parts: Parts
    replaced_count: int = 0

    @cached_property
    def content_hash(self) -> str:
        """Hash of everything but the metadata and the times at which dbt parsed each node: it changes only with the project."""
        digest = hashlib.sha256()
        before, _, after = self.content.partition(bytes(self.parts.metadata))
        for part in (before, after):
            start = 0
            for match in _PARSED_AT.finditer(part):
                digest.update(memoryview(part)[start : match.start()])
                start = match.end()
            digest.update(memoryview(part)[start:])
        return digest.hexdigest()


class _Metadata(msgspec.Struct):
    dbt_schema_version: Any = None
    dbt_version: Any = None
    invocation_id: Any = None
    generated_at: Any = None
    invocation_started_at: Any = None
    env: Any = None
    project_name: Any = None
    project_id: Any = None
    adapter_type: Any = None


# Raised by decoding bytes that are not JSON, nested too deeply, or not UTF-8.
NOT_JSON = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)

# Real files hold https://schemas.getdbt.com/dbt/run-results/v6.json, but also ".../run-results/v12" and
# ".../manifest/v11/manifest.json".
_SCHEMA = re.compile(r"/(run-results|sources|freshness|manifest|catalog)/v(\d{1,9})(?:\.json|/|$)")
_PLAIN_ID = re.compile(r"^[0-9A-Za-z][0-9A-Za-z_-]{7,63}$")
_PARSED_AT = re.compile(rb'"created_at": ?[0-9.eE+-]+')
# An escaped backslash, a surrogate pair, or a lone surrogate.
_SURROGATES = re.compile(
    rb"\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(?P<lone>\\u[dD][89a-fA-F][0-9a-fA-F]{2})"
)
_parts_decoder = msgspec.json.Decoder(Parts)
_metadata_decoder = msgspec.json.Decoder(_Metadata | None)


def parse_document(name: str, content: bytes) -> Document:
    """Read an artifact's metadata.

    Args:
        name: Path or URL.
        content: The whole file.

    Raises:
        UnreadableArtifact: It is not an artifact that offdag knows, or it is cut short.
    """
    readable, replaced_count = _without_lone_surrogates(content)
    try:
        parts = _parts_decoder.decode(readable)
        metadata = _metadata_decoder.decode(parts.metadata) if parts.metadata else None
    except NOT_JSON as error:
        raise UnreadableArtifact(Verdict.UNREADABLE, _why_not_json(content, error)) from error
    if metadata is None:
        raise UnreadableArtifact(Verdict.UNSUPPORTED, "has no metadata: written by dbt before 0.19, or not an artifact")
    match = _SCHEMA.search(str(metadata.dbt_schema_version))
    if match is None:
        raise UnreadableArtifact(Verdict.UNSUPPORTED, f"unknown schema {str(metadata.dbt_schema_version)[:80]!r}")
    generated_at = parse_instant(metadata.generated_at)
    if generated_at is None:
        raise UnreadableArtifact(Verdict.UNREADABLE, f"generated_at is not a time: {str(metadata.generated_at)[:40]!r}")
    sha256 = hashlib.sha256(content).hexdigest()
    written_id = metadata.invocation_id
    kind = Kind(match[1].replace("-", "_"))
    has_env = kind is not Kind.MANIFEST and isinstance(metadata.env, dict)
    return Document(
        name=name,
        content=content,
        readable=readable,
        sha256=sha256,
        kind=kind,
        version=min(int(match[2]), 99),
        dbt_version=text(metadata.dbt_version),
        invocation_id=written_id
        if isinstance(written_id, str) and _PLAIN_ID.match(written_id)
        else f"content-{sha256[:32]}",
        generated_at=generated_at,
        started_at=parse_instant(metadata.invocation_started_at),
        env={str(k): str(v) for k, v in metadata.env.items()} if has_env else {},
        project_name=text(metadata.project_name),
        project_id=text(metadata.project_id),
        adapter_type=text(metadata.adapter_type),
        parts=parts,
        replaced_count=replaced_count,
    )


def _without_lone_surrogates(content: bytes) -> tuple[bytes, int]:
    """The content with U+FFFD in place of lone escaped surrogates, and their number."""
    if b"\\ud" not in content and b"\\uD" not in content:
        return content, 0
    count = 0

    def replaced(match: re.Match[bytes]) -> bytes:
        nonlocal count
        if match["lone"] is None:
            return match[0]
        count += 1
        return b"\\ufffd"

    return _SURROGATES.sub(replaced, content), count


def _why_not_json(content: bytes, error: Exception) -> str:
    if not content.strip():
        return "is empty: the run ended before writing it"
    if content.lstrip().startswith(b"<<<<<<<"):
        return "holds a merge conflict"
    if not content.rstrip().endswith(b"}"):
        return "is cut short: the writer was killed, or it is still being written"
    return f"is not the JSON of an artifact: {error}"[:200]
