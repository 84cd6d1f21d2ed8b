"""Kills of whoever writes or sends, several of them at once, faults of the history's store, and what Slack can do instead of answering."""

from __future__ import annotations

import errno
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from offdag.history import store
from offdag.history.store import Store
from offdag.notify.slack import SlackBot

SLACK_FAULTS = (
    "500",
    "500_after",
    "drop",
    "short",
    "empty",
    "page",
    "list",
    "429:0",
    "429:3600",
    "error:internal_error",
    "error:fatal_error",
    "error:ratelimited",
)


class SimulatedKill(BaseException):
    """The process ends here."""


def at_once(steps: Iterable[Callable[[], object]]) -> None:
    """Run steps at the same time, each in a thread, to their ends."""
    threads = [threading.Thread(target=step) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@contextmanager
def store_fails(number: int, times: int, count: Counter[str]) -> Iterator[None]:
    """The disk is full at the n-th file that the store writes, and at those after it, ``times`` in all."""
    calls = 0
    original = store._temporary

    def refusing(*arguments: Any) -> Any:
        nonlocal calls
        calls += 1
        if number <= calls < number + times:
            count["store faults"] += 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(*arguments)

    with patch.object(store, "_temporary", refusing):
        yield


@contextmanager
def killed_at(number: int, is_after: bool, count: Counter[str]) -> Iterator[None]:
    """Kill whoever makes the n-th write or call to Slack, before or after its effect."""
    lock, calls = threading.Lock(), 0

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            with lock:
                calls += 1
                is_mine = calls == number
            if is_mine and not is_after:
                count["kills"] += 1
                raise SimulatedKill
            result = original(*arguments, **named)
            if is_mine:
                count["kills"] += 1
                raise SimulatedKill
            return result

        return call

    with ExitStack() as stack:
        for owner, method in ((Store, "write"), (Store, "create"), (Store, "delete"), (SlackBot, "_answer")):
            stack.enter_context(patch.object(owner, method, dying(getattr(owner, method))))
        yield
