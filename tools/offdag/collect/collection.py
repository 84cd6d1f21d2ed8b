"""Many artifacts: manifests first, then the rest, by several processes where there are many."""

from __future__ import annotations

import gc
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from itertools import islice
from typing import Any

from offdag.clock import utc_now
from offdag.collect.collector import CollectedArtifact, Collector, Manifests
from offdag.collect.context import Context, ManifestRef
from offdag.collect.places import ArtifactFile
from offdag.environment import UNKNOWN
from offdag.history.history import History

Row = dict[str, Any]

# Starting a process costs as much as some hundred small artifacts.
_MANY_FILES = 400
_CHUNK = 50
_SHOWN = 20


@dataclass
class Collection:
    """The result of a collection; its size does not depend on the number of artifacts.

    Attributes:
        counts: Artifacts by verdict.
        refused: The first verdict rows of artifacts that gave no rows.
        run_dates: Dates that got files.
        lacks_environment: A run was recorded without one.
    """

    counts: Counter[str] = field(default_factory=Counter)
    refused: list[Row] = field(default_factory=list)
    run_dates: set[date] = field(default_factory=set)
    lacks_environment: bool = False

    def add(self, part: Collection) -> None:
        """Add the result for a part of the artifacts."""
        self.counts += part.counts
        self.refused = [*self.refused, *part.refused][:_SHOWN]
        self.run_dates |= part.run_dates
        self.lacks_environment |= part.lacks_environment


def collect_files(history: History, files: Iterable[ArtifactFile], context: Context) -> list[CollectedArtifact]:
    """Collect the artifacts of one place in this process, and record the verdicts.

    Raises:
        HistoryError: The history cannot be written. What was written stays valid, and collecting again completes it.
    """
    manifests = Manifests()
    return [
        found
        for chosen in _manifests_first(files)
        for found in _collect_files(history, list(chosen), context, manifests)
    ]


def collect(
    history: History,
    files: Sequence[ArtifactFile],
    context: Context,
    on_files: Callable[[int], None] = lambda _: None,
    processes: int | None = None,
) -> Collection:
    """Collect any number of artifacts, with several processes where there are many.

    Args:
        history: Gets the artifacts and their rows.
        files: As found by :func:`offdag.collect.places.find_artifacts`.
        context: What the caller knows.
        on_files: Gets the number of files that are done, chunk by chunk.
        processes: At most so many at once; None for one per core.

    Raises:
        HistoryError: The history cannot be written. What was written stays valid, and collecting again completes it.
    """
    collection = Collection()
    manifests = Manifests()
    workers = (processes or os.cpu_count() or 1) if len(files) >= _MANY_FILES else 1
    for chosen in _manifests_first(files):
        work = partial(_collect_chunk, history.root, context, manifests)
        for part, refs in _mapped(work, _chunks(chosen), workers):
            collection.add(part)
            for ref in refs:
                manifests.add(ref)
            on_files(part.counts.total())
    return collection


def _manifests_first(files: Iterable[ArtifactFile]) -> tuple[list[ArtifactFile], list[ArtifactFile]]:
    listed = list(files)
    return [f for f in listed if f.is_manifest], [f for f in listed if not f.is_manifest]


def _mapped(
    work: Callable[[Sequence[ArtifactFile]], Any], chunks: Iterator[list[ArtifactFile]], workers: int
) -> Iterator[Any]:
    if workers == 1:
        yield from map(work, chunks)
        return
    from concurrent.futures import FIRST_COMPLETED, ProcessPoolExecutor, wait
    from multiprocessing import get_context

    # Forked children would share the connections of object stores.
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(work, chunk) for chunk in islice(chunks, 2 * workers)}
        while running:
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for future in ended:
                yield future.result()
                running |= {pool.submit(work, chunk) for chunk in islice(chunks, 1)}


def _chunks(files: Sequence[ArtifactFile]) -> Iterator[list[ArtifactFile]]:
    for start in range(0, len(files), _CHUNK):
        yield list(files[start : start + _CHUNK])


def _collect_chunk(
    root: str, context: Context, manifests: Manifests, files: Sequence[ArtifactFile]
) -> tuple[Collection, list[ManifestRef]]:
    """Collect some artifacts; runs in a worker process, or in this one."""
    found = _collect_files(History(root), files, context, manifests)
    part = Collection()
    for item in found:
        part.counts[item.verdict["verdict"]] += 1
        if item.is_refused and len(part.refused) < _SHOWN:
            part.refused.append(item.verdict)
        if item.invocation:
            part.run_dates.add(item.invocation["generated_at"].date())
            part.lacks_environment |= item.invocation["environment"] == UNKNOWN
    return part, [item.manifest for item in found if item.manifest]


def _collect_files(
    history: History, files: Sequence[ArtifactFile], context: Context, manifests: Manifests
) -> list[CollectedArtifact]:
    collector = Collector(history, context, manifests)
    found = []
    with _without_gc():
        for file in files:
            item = collector.collect(file)
            found.append(item)
            if item.manifest:
                manifests.add(item.manifest)
    if found:
        now = utc_now()
        rows = (item.verdict for item in found)
        history.put("artifact_verdicts", now.date(), uuid.uuid4().hex, rows, {"collected_at": now})
    return found


@contextmanager
def _without_gc() -> Iterator[None]:
    """Without garbage collection: reference counts free artifacts, which are trees, and scanning them costs a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
