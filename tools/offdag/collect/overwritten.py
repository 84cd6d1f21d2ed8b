"""Results that the next dbt command of a script overwrites: copied while the script runs."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path

from offdag.artifacts.document import Kind
from offdag.collect.places import ArtifactFile, Fingerprint, fingerprints

# A dbt command takes longer from its start to its results than two of these.
_EVERY_SECONDS = 0.2
_RESULTS = tuple(f"{kind.value}.json" for kind in (Kind.RUN_RESULTS, Kind.SOURCES))
_MANIFEST = f"{Kind.MANIFEST.value}.json"


class OverwrittenResults:
    """Copies each run_results.json and sources.json of a target folder, with the manifest beside it, as soon as it is complete.

    Args:
        target_path: The target folder.
        before: Fingerprints of the artifacts that were there before; they are not copied.
    """

    def __init__(self, target_path: Path, before: Mapping[ArtifactFile, Fingerprint]) -> None:
        self._target_path = target_path
        self._known = dict(before)
        self._last: dict[ArtifactFile, Fingerprint] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._copies: dict[Path, Fingerprint] = {}
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> OverwrittenResults:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        if self._folder:
            self._folder.cleanup()

    def start(self) -> None:
        """Begin to watch, in a thread."""
        self._thread.start()

    def stop(self) -> list[ArtifactFile]:
        """End, and list the copies whose original was overwritten, in order, each with its manifest."""
        self._end()
        present = set(fingerprints(self._target_path).values())
        found = []
        for copy, fingerprint in self._copies.items():
            if fingerprint not in present:
                beside = copy.with_name(_MANIFEST)
                found += [ArtifactFile(str(path)) for path in (beside, copy) if path.is_file()]
        return found

    def _end(self) -> None:
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(_EVERY_SECONDS):
            now = fingerprints(self._target_path)
            for file, fingerprint in now.items():
                # Twice the same: it is written to its end.
                is_complete = self._last.get(file) == fingerprint
                if file.file_name in _RESULTS and is_complete and self._known.get(file) != fingerprint:
                    self._known[file] = fingerprint
                    with contextlib.suppress(OSError):
                        self._copy(file, fingerprint)
            self._last = now

    def _copy(self, file: ArtifactFile, fingerprint: Fingerprint) -> None:
        # Only a script with several commands needs one; copies that are left behind must not change the run.
        self._folder = self._folder or tempfile.TemporaryDirectory(prefix="offdag-run-", ignore_cleanup_errors=True)
        place = Path(self._folder.name) / str(len(self._copies))
        place.mkdir()
        copy = Path(shutil.copyfile(file.name, place / file.file_name))
        with contextlib.suppress(OSError):
            shutil.copyfile(self._target_path / _MANIFEST, place / _MANIFEST)
        self._copies[copy] = fingerprint
