"""Messages as requests to services that page or chat. Pure functions; every text from data is escaped here.

Each takes the settings, a key or URL, a frozen payload (``channel``, ``message``, ``is_possible_repeat``) and the envelope's id.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from offdag.notify.formats import LOOK_ALIKES, REPEAT, cut
from offdag.notify.sinks import Payload
from offdag.settings import Settings

# In characters, by the documentation of each service.
_PAGERDUTY_SUMMARY, _OPSGENIE_MESSAGE, _OPSGENIE_DESCRIPTION = 1024, 130, 15_000
_TEAMS_TEXT, _DISCORD_TITLE, _DISCORD_TEXT, _GOOGLE_CHAT_TEXT = 20_000, 256, 4_000, 4_000
# So that the lines of one problem always fit.
_LINE = 250
_PRIORITY = {"error": "P2", "warning": "P4"}
_RED, _AMBER, _GREEN = 0xC62828, 0xEF6C00, 0x2E7D32
# What formats, links or mentions in the Markdown of Teams and Discord.
_MARKDOWN = re.compile(r"([\\`*_\[\]<>#|~@])")
_GOOGLE_CHAT = LOOK_ALIKES | str.maketrans({"<": "\u2039", ">": "\u203a"})


@dataclass(frozen=True)
class Request:
    """A POST of JSON.

    Attributes:
        url: Holds a secret for some services.
        content: The body.
        headers: Besides the content type.
    """

    url: str
    content: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


def pagerduty(settings: Settings, key: str, payload: Payload, envelope_id: str) -> Request:
    """An event of PagerDuty's Events API v2: a trigger, or a resolve with the same key."""
    problem = _only_problem(payload)
    if problem["is_ended"]:
        return pagerduty_end(settings, key, payload)
    event = {
        "routing_key": key,
        "event_action": "trigger",
        "dedup_key": _incident_key(problem),
        "client": "offdag",
        "payload": {
            "summary": cut(payload["message"]["heading"], _PAGERDUTY_SUMMARY),
            "source": "offdag",
            "severity": problem["severity"] if problem["severity"] in _PRIORITY else "error",
            "custom_details": {**problem["facts"], "message": envelope_id},
        },
    }
    link = problem.get("report")
    return Request(_pagerduty_url(settings), event | ({"links": [{"href": link, "text": "Report"}]} if link else {}))


def pagerduty_end(settings: Settings, key: str, payload: Payload) -> Request:
    """The resolve of an event."""
    event = {"routing_key": key, "event_action": "resolve", "dedup_key": _incident_key(_only_problem(payload))}
    return Request(_pagerduty_url(settings), event)


def opsgenie(settings: Settings, key: str, payload: Payload, envelope_id: str) -> Request:
    """An alert of Opsgenie, or its close by the same alias."""
    problem = _only_problem(payload)
    if problem["is_ended"]:
        return opsgenie_end(settings, key, payload)
    alert = {
        "message": cut(payload["message"]["heading"], _OPSGENIE_MESSAGE),
        "alias": _incident_key(problem),
        "description": cut("\n".join(_lines(problem)), _OPSGENIE_DESCRIPTION),
        "details": {**{name: cut(text, _LINE) for name, text in problem["facts"].items()}, "message": envelope_id},
        "priority": _PRIORITY.get(problem["severity"], "P3"),
        "source": "offdag",
    }
    return Request(f"{settings.opsgenie_url.rstrip('/')}/v2/alerts", alert, {"Authorization": f"GenieKey {key}"})


def opsgenie_end(settings: Settings, key: str, payload: Payload) -> Request:
    """The close of an alert."""
    alias = quote(_incident_key(_only_problem(payload)), safe="")
    url = f"{settings.opsgenie_url.rstrip('/')}/v2/alerts/{alias}/close?identifierType=alias"
    return Request(url, {"source": "offdag"}, {"Authorization": f"GenieKey {key}"})


def teams(_settings: Settings, url: str, payload: Payload, _envelope_id: str) -> Request:
    """An adaptive card for the webhook of a Teams workflow."""
    heading, *blocks = _cut_blocks(payload, _TEAMS_TEXT, _markdown)
    shown = [{"type": "TextBlock", "size": "medium", "weight": "bolder", "wrap": True, "text": heading}]
    # Two spaces and a line end are a new line in Teams' Markdown.
    shown += [{"type": "TextBlock", "wrap": True, "separator": True, "text": "  \n".join(block)} for block in blocks]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": shown,
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return Request(url, {"type": "message", "attachments": [attachment]})


def discord(_settings: Settings, url: str, payload: Payload, _envelope_id: str) -> Request:
    """A message with one embed for Discord's webhook; nothing in it mentions anybody."""
    heading, *blocks = _cut_blocks(payload, _DISCORD_TEXT, _markdown)
    problems = payload["message"]["problems"]
    open_ones = [problem for problem in problems if not problem["is_ended"]]
    is_error = any(problem["severity"] == "error" for problem in open_ones)
    embed = {
        "title": cut(heading, _DISCORD_TITLE),
        "description": "\n\n".join("\n".join(block) for block in blocks),
        "color": _RED if is_error else _AMBER if open_ones else _GREEN,
    }
    content = {"embeds": [embed], "allowed_mentions": {"parse": []}}
    return Request(f"{url}{'&' if '?' in url else '?'}wait=true", content)


def google_chat(_settings: Settings, url: str, payload: Payload, _envelope_id: str) -> Request:
    """A text message for the webhook of a Google Chat space."""
    heading, *blocks = _cut_blocks(payload, _GOOGLE_CHAT_TEXT, lambda text: text.translate(_GOOGLE_CHAT))
    return Request(url, {"text": "\n\n".join([f"*{heading}*", *("\n".join(block) for block in blocks)])})


def _pagerduty_url(settings: Settings) -> str:
    return f"{settings.pagerduty_url.rstrip('/')}/v2/enqueue"


def _only_problem(payload: Payload) -> dict[str, Any]:
    problems: list[dict[str, Any]] = payload["message"]["problems"]
    return problems[0]


def _incident_key(problem: Mapping[str, Any]) -> str:
    """The key of the incident's signal: what is open for it is one alert."""
    return f"offdag-{problem['signal_keys'][0]}"


def _lines(problem: Mapping[str, Any]) -> Iterator[str]:
    yield f"{problem['state']}  {problem['title']}"
    yield from (f"{label.capitalize()}: {text}" for label, text in problem["facts"].items())


def _cut_blocks(payload: Payload, length: int, escape: Callable[[str], str]) -> list[Any]:
    """The escaped heading, and the lines of each problem as long as they fit; the rest is counted."""
    message = payload["message"]
    heading = escape(cut(message["heading"], _DISCORD_TITLE))
    blocks: list[list[str]] = [[REPEAT]] if payload["is_possible_repeat"] else []
    rest = length - len(heading) - len(REPEAT) - 100
    for number, problem in enumerate(message["problems"]):
        block = [cut(escape(line), _LINE) for line in _lines(problem)]
        block += [problem["report"]] if problem.get("report") else []
        rest -= sum(len(line) + 2 for line in block)
        if rest < 0 and number:
            blocks.append([f"and {len(message['problems']) - number} more: offdag incidents"])
            break
        blocks.append(block)
    return [heading, *blocks]


def _markdown(text: str) -> str:
    return _MARKDOWN.sub(r"\\\1", text)
