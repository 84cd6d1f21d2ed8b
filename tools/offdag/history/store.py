"""Files on a local disk or an object store: whole or absent, and exclusive where asked."""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from offdag.errors import HistoryError, first_line
from offdag.extras import install_command


class Store:
    """A folder whose files are written whole or not at all.

    Args:
        root: Local folder or fsspec URL.
    """

    def __init__(self, root: str) -> None:
        self.root = root.rstrip("/")
        self._local = "://" not in root
        self._fs: Any = None
        if not self._local:
            import fsspec

            try:
                # Others write there too, so listings are not cached.
                self._fs, self.root = fsspec.core.url_to_fs(self.root, use_listings_cache=False)
            except (ImportError, ValueError) as error:
                raise HistoryError(f"cannot open the history's store: {error}", root, install_command(root)) from error

    def path(self, name: str) -> str:
        """The full path of a file in the store."""
        return f"{self.root}/{name}"

    def keep_out_of_git(self) -> None:
        """Have git ignore offdag's own folder, where the store is in one."""
        folder = Path(self.root).parent
        ignore = folder / ".gitignore"
        if self._local and folder.name == ".offdag" and not ignore.exists():
            with contextlib.suppress(OSError):
                ignore.write_text("*\n", encoding="utf-8")

    def exists(self, name: str) -> bool:
        """Whether the file exists.

        Raises:
            HistoryError: The store cannot be asked.
        """
        with self._as_history_error("read", name):
            return Path(self.path(name)).exists() if self._local else bool(self._fs.exists(self.path(name)))

    def glob(self, pattern: str) -> list[str]:
        """Names of the files that match, sorted; ``*`` does not match a slash.

        Raises:
            HistoryError: The store cannot be listed.
        """
        with self._as_history_error("list", pattern):
            if self._local:
                base = Path(self.root)
                return sorted(p.relative_to(base).as_posix() for p in base.glob(pattern))
            return sorted(p[len(self.root) + 1 :] for p in self._fs.glob(self.path(pattern)))

    def names(self, folder: str) -> list[str]:
        """Names of the files and folders directly in a folder, sorted; none where there is no such folder.

        Raises:
            HistoryError: The folder cannot be listed.
        """
        try:
            with self._as_history_error("list", folder, FileNotFoundError):
                if self._local:
                    return sorted(entry.name for entry in os.scandir(self.path(folder)))
                return sorted(p.rstrip("/").rsplit("/", 1)[-1] for p in self._fs.ls(self.path(folder), detail=False))
        except FileNotFoundError:
            return []

    def read(self, name: str) -> bytes:
        """The content of a file.

        Raises:
            HistoryError: It cannot be read.
        """
        with self._as_history_error("read", name):
            return Path(self.path(name)).read_bytes() if self._local else bytes(self._fs.cat_file(self.path(name)))

    def write(self, name: str, content: bytes) -> None:
        """Put a file in place whole, over an older one of that name.

        Raises:
            HistoryError: It cannot be written; nothing half written stays under the name.
        """
        with self._as_history_error("write", name):
            if not self._local:
                self._fs.pipe_file(self.path(name), content)
                return
            with _temporary(Path(self.path(name)), content) as temporary:
                temporary.replace(self.path(name))

    def create(self, name: str, content: bytes) -> bool:
        """Put a new file in place whole; False where the name is taken. Only one of several writers gets True.

        Raises:
            HistoryError: It cannot be written.
        """
        try:
            with self._as_history_error("write", name, FileExistsError):
                if not self._local:
                    self._fs.pipe_file(self.path(name), content, mode="create")
                    return True
                with _temporary(Path(self.path(name)), content) as temporary:
                    os.link(temporary, self.path(name))
                return True
        except FileExistsError:
            return False

    def remove_temporaries(self, before: datetime) -> int:
        """Remove temporary files that killed writers left; gives their number. Object stores have none.

        Args:
            before: Naive UTC; younger files may still be written.
        """
        if not self._local:
            return 0
        limit = before.replace(tzinfo=timezone.utc).timestamp()
        removed = 0
        for path in Path(self.root).rglob(".*.tmp"):
            with suppress(FileNotFoundError):
                if path.stat().st_mtime < limit:
                    path.unlink()
                    removed += 1
        return removed

    def delete(self, name: str) -> None:
        """Remove a file; one that is gone already is fine.

        Raises:
            HistoryError: It cannot be removed.
        """
        with suppress(FileNotFoundError), self._as_history_error("remove a file of", name, FileNotFoundError):
            if self._local:
                Path(self.path(name)).unlink(missing_ok=True)
            elif self._fs.exists(self.path(name)):
                self._fs.rm_file(self.path(name))

    @contextmanager
    def _as_history_error(self, verb: str, name: str, *expected: type[Exception]) -> Iterator[None]:
        """Turn an error of the store into a HistoryError, except those that the caller expects."""
        try:
            yield
        except expected:
            raise
        # The drivers of object stores raise many classes of errors.
        except Exception as error:
            if self._local and not isinstance(error, OSError):
                raise
            reason = (isinstance(error, OSError) and error.strerror) or first_line(error)
            raise HistoryError(
                f"cannot {verb} the history: {reason}",
                self.path(name),
                f"df -h {self.root}; ls -ld {self.root}    # fix permissions or free space: nothing is lost or doubled",
            ) from error


@contextmanager
def _temporary(final: Path, content: bytes) -> Iterator[Path]:
    """A file beside its final place that holds the content on disk, and is always removed afterwards."""
    final.parent.mkdir(parents=True, exist_ok=True)
    # Never ends in .parquet: a reader's glob must not see it.
    temporary = final.parent / f".{final.name}.{uuid.uuid4().hex}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        yield temporary
    finally:
        temporary.unlink(missing_ok=True)
