"""Where messages go. A sink posts one payload and says what became of it; it decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from offdag.notify.formats import document, plain_text
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
    """A place that messages go to.

    Attributes:
        name: As in the marts.
        has_threads: Whether a message can be answered, and changed later.
    """

    name: str
    has_threads: bool

    def payload(self, message: Message, channel: str, thread: Posted | None) -> Payload:
        """The frozen content of a message."""
        ...

    def details(self, message: Message) -> list[Payload]:
        """The frozen content of what follows a message in its thread, without the thread's place."""
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

    def update(self, posted: Posted, message: Message, envelope_id: str) -> None:
        """Say anew what a posted message says; doing it twice changes nothing.

        Raises:
            Refused: It was not changed.
            Unknown: It may have been changed.
        """
        ...


class Threadless:
    """What sinks have in common that can neither answer a message, nor change it, nor look for it."""

    has_threads = False

    def details(self, message: Message) -> list[Payload]:
        return []

    def find(self, payload: Payload, envelope_id: str, since: datetime) -> Posted | None:
        raise Unknown("nobody can look there")

    def update(self, posted: Posted, message: Message, envelope_id: str) -> None:
        raise Refused("nothing can be changed there", "offdag incidents")


class Printed(Threadless):
    """Prints messages where nothing else is set up. Its receipts count for itself alone: a token set later announces what is open.

    Args:
        show: Gets the text of each message.
        is_json: One JSON document a line, instead of text.
    """

    name = "stdout"

    def __init__(self, show: Callable[[str], None], is_json: bool = False) -> None:
        self._show = show
        self._is_json = is_json

    def payload(self, message: Message, channel: str, thread: Posted | None) -> Payload:
        told = {"channel": channel, "message": document(message)}
        return told if self._is_json else {"channel": channel, "text": f"{channel}\n{plain_text(message)}"}

    def post(self, payload: Payload, envelope_id: str) -> Posted:
        self._show(payload["text"] if "text" in payload else json.dumps({"id": envelope_id, **payload}))
        return Posted()
