"""The file half of the delivery log: numbered intents of a channel, created exclusively, and checkpoints over the settled ones.

    intents/<sink>/<channel>/<number>.json              one claim
    intents/<sink>/<channel>/checkpoint-<number>.json   what is known of all claims up to that number

A reader opens the newest checkpoint and the claims after it, so its work is proportional to what is new.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from offdag.errors import HistoryError
from offdag.history.history import History, path_part

_ENTRY = re.compile(r"(\d{8})\.json")
_CHECKPOINT = re.compile(r"checkpoint-(\d{8})\.json")


class IntentFiles:
    """The intents of one sink, as bytes.

    Args:
        history: Holds them.
        sink: Its name.
    """

    def __init__(self, history: History, sink: str) -> None:
        self._store = history.store
        self._root = f"intents/{path_part(sink)}"

    def channels(self) -> list[str]:
        """Folders of the channels that have a log."""
        return self._store.names(self._root)

    def newest_checkpoint(self, channel: str) -> tuple[int, bytes | None]:
        """Number and content of the newest checkpoint; 0 and None where there is none."""
        numbers = _numbers(self._store.names(f"{self._root}/{channel}"), _CHECKPOINT)
        return (numbers[-1], self._store.read(self._checkpoint(channel, numbers[-1]))) if numbers else (0, None)

    def numbers_after(self, channel: str, number: int) -> list[int]:
        """Numbers of the intents after a number, in order."""
        return [n for n in _numbers(self._store.names(f"{self._root}/{channel}"), _ENTRY) if n > number]

    def read(self, channel: str, number: int) -> bytes:
        """The content of an intent.

        Raises:
            HistoryError: It cannot be read.
        """
        return self._store.read(self._entry(channel, number))

    def create(self, channel: str, number: int, content: bytes) -> bool:
        """Create an intent; False where another sender took the number."""
        return self._store.create(self._entry(channel, number), content)

    def write_checkpoint(self, channel: str, number: int, content: bytes) -> None:
        """Write a checkpoint, and keep only the newest two: a reader may still open the older one."""
        self._store.write(self._checkpoint(channel, number), content)
        for older in _numbers(self._store.names(f"{self._root}/{channel}"), _CHECKPOINT)[:-2]:
            self._store.delete(self._checkpoint(channel, older))

    def damaged(self, channel: str, number: int, error: Exception) -> HistoryError:
        """The error for an intent or checkpoint that cannot be decoded."""
        path = self._store.path(self._entry(channel, number))
        return HistoryError(f"an intent is damaged: {error}", path, f"mv {path} {path}.bad")

    def _entry(self, channel: str, number: int) -> str:
        return f"{self._root}/{channel}/{number:08d}.json"

    def _checkpoint(self, channel: str, number: int) -> str:
        return f"{self._root}/{channel}/checkpoint-{number:08d}.json"


def _numbers(names: Sequence[str], pattern: re.Pattern[str]) -> list[int]:
    return sorted(int(match[1]) for match in map(pattern.fullmatch, names) if match)
