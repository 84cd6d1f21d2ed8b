"""Sinks that a route names as its channel: ``pagerduty``, ``teams`` and so on, or ``teams:ops`` for one of several."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from offdag.monitor.rows import DueNotification
from offdag.notify import service_requests as requests
from offdag.notify.formats import document, plain_text
from offdag.notify.issues import Issues
from offdag.notify.message import Message
from offdag.notify.service_requests import Request
from offdag.notify.sinks import CannotLookUp, Payload, PostedMessage, Refusal, Threadless, UnknownOutcome
from offdag.notify.webhook import answer_of
from offdag.settings import SERVICE_VARIABLES, Settings

_ISSUES = ("github", "gitlab")
_NOT_IN_VARIABLES = re.compile(r"[^A-Z0-9]+")
# What the service answers where something else was meant: it would answer the same again.
_REQUEST_STATUSES = range(300, 500)


@dataclass(frozen=True)
class _Kind:
    """One of the services.

    Attributes:
        request: The request for a payload, from the key or URL and the envelope's id.
        withdrawal: The request that ends what a payload may have opened; None where nothing has to be ended.
    """

    request: Callable[[Settings, str, Payload, str], Request]
    withdrawal: Callable[[Settings, str, Payload], Request] | None = None


_KINDS = {
    "pagerduty": _Kind(requests.pagerduty, requests.pagerduty_end),
    "opsgenie": _Kind(requests.opsgenie, requests.opsgenie_end),
    "teams": _Kind(requests.teams),
    "discord": _Kind(requests.discord),
    "google_chat": _Kind(requests.google_chat),
}


def variable_of(channel: str) -> str | None:
    """The variable that holds a channel's key or URL; None for a channel of Slack.

    The channel teams:data-ops has OFFDAG_TEAMS_WEBHOOK_URL_DATA_OPS; all repositories of GitHub have the same token.
    """
    kind, _, name = channel.partition(":")
    start = SERVICE_VARIABLES.get(kind)
    if kind in _ISSUES:
        return start
    return f"{start}_{_NOT_IN_VARIABLES.sub('_', name.upper()).strip('_')}" if start and name else start


def services_of(due: Iterable[DueNotification], settings: Settings) -> set[str]:
    """The services that due notifications name, and those whose variables are set: an earlier sender may have left something."""
    is_set = {
        name for name, start in SERVICE_VARIABLES.items() if any(given.startswith(start) for given in settings.services)
    }
    return is_set | ({row.sink for row in due} & SERVICE_VARIABLES.keys())


def service(name: str, settings: Settings) -> Service | AppriseService | Issues:
    """The sink of a name among the var ``services`` of the monitor project."""
    if name in _ISSUES:
        return Issues(name, settings)
    if name == "apprise":
        return AppriseService(settings.services)
    return Service(name, settings)


class Service(Threadless):
    """Posts one HTTP request for each message; alerts of services that page are one for each incident.

    Args:
        name: Of the service.
        settings: Hold the keys and URLs, and name the proxies.
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._kind = _KINDS[name]
        self._settings = settings
        self.is_per_incident = self._kind.withdrawal is not None

    def payload(self, message: Message, channel: str, thread: PostedMessage | None) -> Payload:
        return {"channel": channel, "message": document(message), "is_possible_repeat": False}

    def post(self, payload: Payload, envelope_id: str) -> PostedMessage:
        secret = _secret(self._settings.services, payload)
        self._send(self._kind.request(self._settings, secret, payload, envelope_id), payload)
        return PostedMessage()

    def find(self, payload: Payload, envelope_id: str, since: object) -> PostedMessage | None:
        if not self.is_per_incident:
            raise CannotLookUp(f"{self.name} has no lookup")
        # The incident's key makes a second alert the same one: posting it again changes nothing.
        return None

    def withdraw(self, payload: Payload) -> None:
        if self._kind.withdrawal:
            secret = _secret(self._settings.services, payload)
            self._send(self._kind.withdrawal(self._settings, secret, payload), payload)

    def _send(self, request: Request, payload: Payload) -> None:
        body = json.dumps(request.content, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", **request.headers}
        answer = answer_of(self.name, request.url, body, headers, self._settings.proxy_for(request.url))
        if answer.status in _REQUEST_STATUSES:
            variable = variable_of(payload["channel"])
            raise Refusal(f"{self.name} answered {answer.status}", f"export {variable}=...    # see docs/alerts.md")


class AppriseService(Threadless):
    """Whatever Apprise can reach, such as e-mail. It does not say whether a message that failed has arrived.

    Args:
        urls: Apprise's URLs by variable; secrets.
    """

    name = "apprise"

    def __init__(self, urls: Mapping[str, str]) -> None:
        self._urls = urls

    def payload(self, message: Message, channel: str, thread: PostedMessage | None) -> Payload:
        return {"channel": channel, "heading": message.heading, "text": plain_text(message)}

    def post(self, payload: Payload, envelope_id: str) -> PostedMessage:
        try:
            import apprise
        except ModuleNotFoundError:
            raise Refusal("apprise is not installed", "pip install 'offdag[apprise]'") from None
        target = apprise.Apprise()
        if not target.add(_secret(self._urls, payload)):
            variable = variable_of(payload["channel"])
            raise Refusal("Apprise does not know the URL", f"export {variable}=mailtos://user:password@host?to=...")
        title, body = payload["heading"], payload["text"].partition("\n")[2]
        if not target.notify(title=title, body=body, body_format=apprise.NotifyFormat.TEXT):
            raise UnknownOutcome("Apprise does not say whether it arrived")
        return PostedMessage()


def _secret(given: Mapping[str, str], payload: Payload) -> str:
    variable = variable_of(payload["channel"])
    if variable is None or variable not in given:
        raise Refusal(f"{variable} is not set", f"export {variable}=...    # see docs/alerts.md")
    return given[variable]
