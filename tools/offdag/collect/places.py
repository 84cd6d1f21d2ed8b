"""Artifact files: found in folders, trees and object stores of any layout, and read with bounds."""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import os
import re
import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from offdag.artifacts.document import Kind
from offdag.errors import UsageError
from offdag.extras import install_command

_log = logging.getLogger(__name__)

Fingerprint = tuple[int, int, int]

# The largest manifest that was ever seen has 190 MB.
_MOST_BYTES = 2 * 1024**3
_CHUNK_BYTES = 1024 * 1024

_PACKED = ("", ".zst", ".gz")
_USUAL_NAMES = frozenset(f"{kind.value}.json{packed}" for kind in Kind for packed in _PACKED)
# An archive names them freely: manifest_2026-01-31.json, run_results/<id>.json, 2026/01/31-run-results.json.gz
_ARCHIVED = re.compile(rf"(?i)(run[-_]results|{'|'.join(kind.value for kind in Kind)})")
# What dbt writes beside them under similar names.
_OTHERS = re.compile(r"(?i)(semantic_manifest|partial_parse|graph_summary|perf_info)\b")
_JSON = re.compile(r"\.json(\.zst|\.gz)?$")


@dataclass(frozen=True, order=True)
class ArtifactFile:
    """A file that may be an artifact.

    Attributes:
        name: Path or URL.
    """

    name: str

    @property
    def folder(self) -> str:
        return self.name.rpartition("/")[0] or "."

    @property
    def file_name(self) -> str:
        return self.name.rpartition("/")[2]

    @property
    def is_manifest(self) -> bool:
        """Whether its name, or for unusual names its folder's, marks it as a manifest."""
        return Kind.MANIFEST.value in (self.file_name if _ARCHIVED.search(self.file_name) else self.folder)

    @property
    def shown_name(self) -> str:
        """The name as text that every encoding can hold: names of files may be any bytes."""
        return os.fsencode(self.name).decode("utf-8", "replace")

    def read(self) -> bytes:
        """Its content, unpacked.

        Raises:
            OSError: It cannot be read, or is not a regular file.
            ValueError: It cannot be unpacked, or is larger than any artifact.
        """
        with self._open() as packed:
            if self.name.endswith(".gz"):
                return _bounded(gzip.GzipFile(fileobj=packed), is_packed=True)
            if self.name.endswith(".zst"):
                import zstandard

                reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
                return _bounded(reader, is_packed=True)
            return _bounded(packed)

    def _open(self) -> IO[bytes]:
        if _is_url(self.name):
            store, path = _store(self.name)
            remote: IO[bytes] = store.open(path, "rb")
            return remote
        local = Path(self.name)
        if local.is_symlink() and not local.resolve().is_relative_to(local.parent.resolve()):
            raise OSError(0, "it is a link that leads out of its folder", self.name)
        # A pipe would wait for a writer, a device would never end.
        if not stat.S_ISREG(local.stat().st_mode):
            raise OSError(0, "it is not a regular file", self.name)
        return local.open("rb")

    def fingerprint(self) -> Fingerprint:
        """Identify a local file as it is now, without reading it."""
        status = Path(self.name).stat()
        return status.st_mtime_ns, status.st_size, status.st_ino


def _bounded(file: Any, is_packed: bool = False) -> bytes:
    """The content of an open file, up to the size that an artifact may have."""
    buffer = io.BytesIO()
    try:
        while chunk := file.read(_CHUNK_BYTES):
            if buffer.tell() + len(chunk) > _MOST_BYTES:
                raise ValueError(f"is larger than {_MOST_BYTES // 1024**3} GiB")
            buffer.write(chunk)
    except OSError as error:
        if is_packed and error.errno is None:
            raise ValueError(f"cannot be unpacked: {error}") from error
        raise
    except Exception as error:
        # Each archive format has its own errors: EOFError, zlib.error, ZstdError.
        if isinstance(error, ValueError) or not is_packed:
            raise
        raise ValueError(f"cannot be unpacked: {error}") from error
    return buffer.getvalue()


def artifacts_in(folder: str) -> list[ArtifactFile]:
    """The artifacts directly in a target folder."""
    files = (f for f in _listed(folder, recursive=False) if f.file_name in _USUAL_NAMES)
    return sorted(files)


def fingerprints(folder: Path) -> dict[ArtifactFile, Fingerprint]:
    """Identify the artifacts of a target folder as they are now."""
    found = {}
    for file in artifacts_in(str(folder)):
        # A link to nothing, or a file that was removed meanwhile, is no artifact.
        with contextlib.suppress(OSError):
            found[file] = file.fingerprint()
    return found


def has_new_results(folder: Path, before: Mapping[ArtifactFile, Fingerprint]) -> bool:
    """Whether run_results.json of a folder is another file than before.

    Args:
        folder: A target folder.
        before: Its fingerprints then.
    """
    return any(
        file.file_name == f"{Kind.RUN_RESULTS.value}.json" and before.get(file) != fingerprint
        for file, fingerprint in fingerprints(folder).items()
    )


def find_artifacts(paths: Sequence[str], recursive: bool) -> list[ArtifactFile]:
    """The artifacts at each path, each once, in order.

    Args:
        paths: Target folders, files, or trees and object-store prefixes of them.
        recursive: Search the folders below each path, where artifacts may have any name that contains their kind.

    Raises:
        UsageError: A path does not exist, or its store cannot be opened.
    """
    found: set[ArtifactFile] = set()
    for path in (p.rstrip("/") or "/" for p in paths):
        if _is_file(path):
            file = ArtifactFile(path)
            # The manifest beside a file names its nodes.
            beside = [f for f in artifacts_in(file.folder) if f.is_manifest]
            found |= {file, *beside}
        elif recursive:
            found |= {f for f in _listed(path, recursive=True) if _may_be_artifact(f, path)}
        else:
            found |= set(artifacts_in(path))
    return sorted(found)


def _may_be_artifact(file: ArtifactFile, root: str) -> bool:
    below = file.name[len(root) :]
    if _OTHERS.match(file.file_name):
        return False
    return file.file_name in _USUAL_NAMES or bool(_JSON.search(below) and _ARCHIVED.search(below))


def _is_url(path: str) -> bool:
    return "://" in path


def _store(url: str) -> tuple[Any, str]:
    import fsspec

    try:
        store, path = fsspec.core.url_to_fs(url)
    except (ImportError, ValueError) as error:
        raise UsageError(f"cannot open the store: {error}", url, install_command(url)) from error
    return store, str(path)


def _is_file(path: str) -> bool:
    try:
        if not _is_url(path):
            if not Path(path).exists():
                raise FileNotFoundError(path)
            return Path(path).is_file()
        store, inner = _store(path)
        if not store.exists(inner):
            raise FileNotFoundError(path)
        return bool(store.isfile(inner))
    except OSError as error:
        what = "there is no such file or folder" if isinstance(error, FileNotFoundError) else f"cannot be read: {error}"
        raise UsageError(what, path, "offdag collect inventory_project/target") from error


def _listed(folder: str, recursive: bool) -> Iterable[ArtifactFile]:
    """Files in a folder or below it; hidden folders below it are skipped."""
    if _is_url(folder):
        store, inner = _store(folder)
        scheme = folder.partition("://")[0]
        names = store.find(inner) if recursive else store.ls(inner, detail=False)
        yield from (ArtifactFile(f"{scheme}://{name}") for name in names)
        return
    for at, folders, files in os.walk(folder):
        for linked in (f"{at}/{f}" for f in folders if recursive and Path(at, f).is_symlink()):
            _log.warning("not followed: %s is a link to a folder; name its target to collect it", linked)
        folders[:] = sorted(f for f in folders if not f.startswith(".")) if recursive else []
        yield from (ArtifactFile(f"{at}/{name}") for name in files)
