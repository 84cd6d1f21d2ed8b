"""Files for others to read, in a folder or an object store: whole or not there, since a reader may have them open."""

from __future__ import annotations

import os
import re
from pathlib import Path


def write_output(path: str, content: bytes) -> None:
    """Put a file in place, over an older one of that name.

    Args:
        path: Path, or fsspec URL.
        content: All of it.

    Raises:
        Exception: Each store's library has errors of its own.
    """
    if "://" in path:
        import fsspec

        # An object is whole by itself.
        with fsspec.open(path, "wb") as file:
            file.write(content)
        return
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(content)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def remove_outputs(folder: str, pattern: str, kept: set[str]) -> int:
    """Remove files of an earlier time.

    Args:
        folder: Path or fsspec URL, taken literally.
        pattern: Regular expression of the names that may be removed.
        kept: Names of files that stay.

    Returns:
        Number of files that were removed.

    Raises:
        Exception: As :func:`write_output`.
    """
    import fsspec

    store, place = fsspec.core.url_to_fs(folder)
    paths = {path.rstrip("/").rpartition("/")[2]: path for path in store.ls(place, detail=False)}
    old = [path for name, path in paths.items() if re.fullmatch(pattern, name) and name not in kept]
    for path in old:
        store.rm_file(path)
    return len(old)
