"""Sinks: where messages go. A sink posts one payload and returns or raises its outcome; it decides nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from offdag.notify.formats import document, plain_text
from offdag.notify.message import Message
from offdag.settings import Settings

Payload = dict[str, Any]


@dataclass(frozen=True)
class PostedMessage:
    """A message that arrived.

    Attributes:
        channel: Slack's id of the channel; None for other sinks.
        ts: Slack's id of the message in the channel; None for other sinks.
    """

    channel: str | None = None
    ts: str | None = None


NO_PLACE = PostedMessage()


class Refusal(Exception):
    """The message certainly did not arrive.

    Attributes:
        reason: Why.
        next_command: What to do about it.
        is_final: Trying again cannot help, such as for a message that was deleted.
    """

    def __init__(self, reason: str, next_command: str, is_final: bool = False) -> None:
        super().__init__(reason, next_command, is_final)
        self.reason = reason
        self.next_command = next_command
        self.is_final = is_final

    def __str__(self) -> str:
        return self.reason


class UnknownOutcome(Exception):
    """It is unknown whether the message arrived."""


class CannotLookUp(UnknownOutcome):
    """The sink has no way to look up what was posted, now or later."""


class Sink(Protocol):
    """A place that messages go to.

    Attributes:
        name: Name of the sink in the marts.
        has_threads: Whether a message can be answered, and changed later.
        is_per_incident: Whether each incident is a message of its own, and posting one again changes nothing.
    """

    name: str
    has_threads: bool
    is_per_incident: bool

    def payload(self, message: Message, channel: str, thread: PostedMessage | None) -> Payload:
        """The frozen content of a message."""
        ...

    def details(self, message: Message) -> list[Payload]:
        """The frozen content of what follows a message in its thread, without the thread's place."""
        ...

    def post(self, payload: Payload, envelope_id: str) -> PostedMessage:
        """Send it.

        Raises:
            Refusal: It did not arrive.
            UnknownOutcome: It may have arrived.
        """
        ...

    def find(self, payload: Payload, envelope_id: str, since: datetime) -> PostedMessage | None:
        """Look up an envelope that may have been posted since an instant (naive UTC); None where it was not posted.

        Raises:
            CannotLookUp: The sink never can.
            UnknownOutcome: It cannot now.
        """
        ...

    def withdraw(self, payload: Payload) -> None:
        """End what an envelope may have opened that is no longer true, where the sink cannot look it up.

        Raises:
            Refusal: It is not ended.
            UnknownOutcome: It may not be ended.
        """
        ...

    def update(self, posted: PostedMessage, message: Message, envelope_id: str) -> None:
        """Replace the text of a posted message; doing it twice changes nothing.

        Raises:
            Refusal: It was not changed.
            UnknownOutcome: It may have been changed.
        """
        ...


class Threadless:
    """For sinks without threads, updates and lookups."""

    has_threads = False
    is_per_incident = False

    def details(self, message: Message) -> list[Payload]:
        return []

    def find(self, payload: Payload, envelope_id: str, since: datetime) -> PostedMessage | None:
        raise CannotLookUp("this sink has no lookup")

    def withdraw(self, payload: Payload) -> None:
        pass

    def update(self, posted: PostedMessage, message: Message, envelope_id: str) -> None:
        raise Refusal("this sink cannot change a message", "offdag incidents", is_final=True)


class TerminalSink(Threadless):
    """Prints messages where no other sink is set up. Its receipts do not count for Slack: a token that is set later announces what is open.

    Args:
        show: Gets the text of each message.
        is_json: One JSON document a line, instead of text.
    """

    name = "stdout"

    def __init__(self, show: Callable[[str], None], is_json: bool = False) -> None:
        self._show = show
        self._is_json = is_json

    def payload(self, message: Message, channel: str, thread: PostedMessage | None) -> Payload:
        content = {"channel": channel, "message": document(message)}
        return content if self._is_json else {"channel": channel, "text": f"{channel}\n{plain_text(message)}"}

    def post(self, payload: Payload, envelope_id: str) -> PostedMessage:
        self._show(payload["text"] if "text" in payload else json.dumps({"id": envelope_id, **payload}))
        return PostedMessage()


def sinks_for(
    settings: Settings, show: Callable[[str], None], is_json: bool = False, services: Set[str] = frozenset()
) -> list[Sink]:
    """Slack's bot where there is a token, else Slack's webhook; the other webhook where it is set; the terminal without any of them.

    Args:
        settings: Hold the tokens and URLs.
        show: Gets what the terminal shows.
        is_json: Show it as JSON.
        services: Names of services that routes name; each is a sink beside those.
    """
    sinks: list[Sink] = []
    if settings.slack_token:
        from offdag.notify.slack import SlackBot

        sinks.append(SlackBot(settings.slack_token, settings.slack_api_url))
    elif settings.slack_webhook:
        from offdag.notify.webhook import SlackWebhook

        sinks.append(SlackWebhook(settings.slack_webhook, settings.proxy_for(settings.slack_webhook)))
    if settings.webhook:
        from offdag.notify.webhook import Webhook

        proxy = settings.proxy_for(settings.webhook)
        sinks.append(Webhook(settings.webhook, settings.webhook_answer, settings.webhook_secret, proxy))
    sinks = sinks or [TerminalSink(show, is_json)]
    if services:
        from offdag.notify.services import service

        sinks += [service(name, settings) for name in sorted(services)]
    return sinks
