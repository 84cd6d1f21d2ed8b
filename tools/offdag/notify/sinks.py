"""Where messages go. A sink posts one payload and says what became of it; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from offdag.notify.formats import block_kit, plain_text
from offdag.notify.message import Message

Payload = dict[str, Any]


@dataclass(frozen=True)
class Posted:
    """A message that arrived.

    Attributes:
        channel: Slack's id of the channel; None where the sink tells none.
        ts: Slack's id of the message in it.
    """

    channel: str | None = None
    ts: str | None = None


class Refused(Exception):
    """The message did not arrive, for certain.

    Attributes:
        reason: Why.
        next_command: What to do about it.
    """

    def __init__(self, reason: str, next_command: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.next_command = next_command


class Unknown(Exception):
    """The answer was lost: the message may have arrived."""


class Sink(Protocol):
    """A place that messages go to."""

    name: str
    has_threads: bool

    def payload(self, message: Message, channel: str, thread: Posted | None) -> Payload:
        """The frozen content of a message."""
        ...

    def post(self, payload: Payload, envelope_id: str) -> Posted:
        """Send it.

        Raises:
            Refused: It did not arrive.
            Unknown: It may have arrived.
        """
        ...

    def find(self, payload: Payload, envelope_id: str, since: datetime) -> Posted | None:
        """Look for an envelope that may have been posted since an instant (naive UTC); None where it is not there.

        Raises:
            Unknown: The sink cannot look.
        """
        ...


class Printed:
    """Prints messages where Slack is not set up. Its receipts count for itself alone: a token set later announces what is open."""

    name = "stdout"
    has_threads = False

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show

    def payload(self, message: Message, channel: str, thread: Posted | None) -> Payload:
        return {"channel": channel, "text": f"{channel}\n{plain_text(message)}"}

    def post(self, payload: Payload, envelope_id: str) -> Posted:
        self._show(payload["text"])
        return Posted()

    def find(self, payload: Payload, envelope_id: str, since: datetime) -> Posted | None:
        raise Unknown("nobody can tell what a terminal showed")


def slack_payload(message: Message, channel: str, thread: Posted | None) -> Payload:
    """The arguments of chat.postMessage."""
    place = {"channel": thread.channel, "thread_ts": thread.ts} if thread else {"channel": channel}
    return {**place, **block_kit(message), "unfurl_links": False, "unfurl_media": False}
