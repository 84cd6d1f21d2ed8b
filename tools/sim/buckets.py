"""An object store in memory behind fsspec, whose operations fail as a case chooses."""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import fsspec
from fsspec.implementations.memory import MemoryFileSystem

_PROTOCOL = "bucket"
_OPERATIONS = ("pipe_file", "cat_file", "ls", "glob", "exists", "rm_file")


class Bucket(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
    """One object after the other: a file is there whole or not at all, and only one writer creates it.

    Attributes:
        failing: Gives for each operation None, or whether it fails before (False) or after (True) its effect.
    """

    protocol = _PROTOCOL
    store: ClassVar[dict[str, Any]] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    failing: ClassVar[Any] = None
    _lock: ClassVar[threading.RLock] = threading.RLock()

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        return _Operation(found) if name in _OPERATIONS else found


class _Operation:
    """One request to the store. Its own parts are part of it, and do not fail by themselves."""

    _inside = threading.local()

    def __init__(self, original: Any) -> None:
        self._original = original

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        if getattr(self._inside, "is_on", False):
            return self._original(*arguments, **named)
        with Bucket._lock:
            self._inside.is_on = True
            try:
                is_after = Bucket.failing() if Bucket.failing else None
                if is_after is False:
                    raise ConnectionError("the store cannot be reached")
                answer = self._original(*arguments, **named)
            finally:
                self._inside.is_on = False
        if is_after:
            raise TimeoutError("the store gave no answer")
        return answer


def new_bucket() -> str:
    """An empty object store for this process; gives its URL."""
    fsspec.register_implementation(_PROTOCOL, Bucket, clobber=True)
    Bucket.store.clear()
    Bucket.pseudo_dirs[:] = [""]
    Bucket.failing = None
    return f"{_PROTOCOL}://history"


@contextmanager
def bucket_fails(rng: random.Random, count: Counter[str]) -> Iterator[None]:
    """The n-th request fails, or all from the n-th on, before or after its effect."""
    first, times, is_after = rng.randint(1, 40), rng.choice([1, 3, 1000]), rng.random() < 0.5
    calls = 0

    def failing() -> bool | None:
        nonlocal calls
        calls += 1
        if not first <= calls < first + times:
            return None
        count["store faults"] += 1
        return is_after

    Bucket.failing = failing
    try:
        yield
    finally:
        Bucket.failing = None
