"""Incidents as issues of GitHub and GitLab: opened, commented at each reminder, closed at the end."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from offdag.errors import error_text
from offdag.notify import markdown
from offdag.notify.code_host import BadAnswer, CodeHost
from offdag.notify.formats import cut, document
from offdag.notify.http import AnswerLost, NotSent
from offdag.notify.message import Message
from offdag.notify.sinks import Payload, PostedMessage, Refusal, Threadless, UnknownOutcome
from offdag.settings import Settings

_log = logging.getLogger(__name__)

LABEL = "offdag"
_TITLE = 250
_LINE = 1000
_REPOSITORY = re.compile(r"[\w.-]+(/[\w.-]+)+")
_RATE_LIMITED = 429
_MAY_WRITE = "a token that may write to the repository"
_RIGHTS = f"export OFFDAG_GITHUB_TOKEN=...    # {_MAY_WRITE}"


@dataclass(frozen=True)
class _Kind:
    """What differs between the two.

    Attributes:
        host: The API.
        folder: Path of a repository, before /issues.
        open_ones: Query for open issues.
        order: Query for the newest first.
        number: Name of an issue's number.
        body: Name of its text.
        comments: Name of the list of its comments.
        update: HTTP method of a change.
        close: The change that closes it.
        reopen: The change that opens it again.
    """

    host: Callable[[Settings], CodeHost]
    folder: Callable[[str], str]
    open_ones: str
    order: str
    number: str
    body: str
    comments: str
    update: str
    close: Mapping[str, str]
    reopen: Mapping[str, str]


_KINDS = {
    "github": _Kind(
        host=CodeHost.github,
        folder=lambda repository: f"repos/{quote(repository)}",
        open_ones="state=open",
        order="sort=created&direction=desc",
        number="number",
        body="body",
        comments="comments",
        update="PATCH",
        close={"state": "closed"},
        reopen={"state": "open"},
    ),
    "gitlab": _Kind(
        host=CodeHost.gitlab,
        folder=lambda repository: f"projects/{quote(repository, safe='')}",
        open_ones="state=opened",
        order="order_by=created_at&sort=desc",
        number="iid",
        body="description",
        comments="notes",
        update="PUT",
        close={"state_event": "close"},
        reopen={"state_event": "reopen"},
    ),
}


class Issues(Threadless):
    """An issue for each incident, in the repository that the channel names.

    Issues and comments hold the id of their message, so that posting it again changes nothing.

    Args:
        name: github or gitlab.
        settings: Hold the token and the address.
    """

    is_per_incident = True

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._kind = _KINDS[name]
        self._host = self._kind.host(settings)

    def payload(self, message: Message, channel: str, thread: PostedMessage | None) -> Payload:
        shown = document(message)
        return {"channel": channel, "message": shown, "is_reminder": message.is_reminder, "is_possible_repeat": False}

    def post(self, payload: Payload, envelope_id: str) -> PostedMessage:
        try:
            self._post(_Post(self._host, self._kind, payload, envelope_id))
        except NotSent as error:
            raise Refusal(f"{self.name} cannot be reached: {error}", "offdag doctor") from None
        except AnswerLost as error:
            raise UnknownOutcome(f"{self.name} gave no answer: {error}") from None
        except BadAnswer as error:
            raise self._outcome(error.status, error.body) from None
        return PostedMessage()

    def find(self, payload: Payload, envelope_id: str, since: object) -> PostedMessage | None:
        return None

    def withdraw(self, payload: Payload) -> None:
        self.post({**payload, "message": _ended(payload["message"])}, "withdrawn")

    def _post(self, post: _Post) -> None:
        issue = post.issue()
        if post.is_ended:
            if issue and post.is_open(issue):
                post.comment(issue)
                post.change(issue, self._kind.close)
        elif issue is None or not (post.is_open(issue) or post.is_reminder or post.has_message(issue)):
            post.create()
        else:
            post.comment(issue)
            if not post.is_open(issue) and post.is_reminder:
                post.change(issue, self._kind.reopen)

    def _outcome(self, status: int, body: str) -> Exception:
        # GitHub answers its limits with 403 too.
        if status == _RATE_LIMITED or (status == 403 and "rate limit" in body.lower()):
            return Refusal("ratelimited", "sleep 60; offdag notify")
        if status >= 500:
            return UnknownOutcome(f"{self.name} answered {status}")
        variable = f"OFFDAG_{self.name.upper()}_TOKEN"
        return Refusal(f"{self.name} answered {status}", f"export {variable}=...    # {_MAY_WRITE}")


class _Post:
    """One message to one repository."""

    def __init__(self, host: CodeHost, kind: _Kind, payload: Payload, envelope_id: str) -> None:
        repository = payload["channel"].partition(":")[2]
        if not _REPOSITORY.fullmatch(repository):
            raise Refusal("the channel names no repository", "offdag doctor    # such as github:acme/shop")
        self._host = host
        self._kind = kind
        self._issues = f"{kind.folder(repository)}/issues"
        self._heading: str = payload["message"]["heading"]
        self._problem: dict[str, Any] = payload["message"]["problems"][0]
        self._message_mark = f"<!-- offdag message {envelope_id} -->"
        self._mark = f"<!-- offdag {self._problem['signal_keys'][0]} -->"
        self.is_ended: bool = self._problem["is_ended"]
        self.is_reminder: bool = payload.get("is_reminder", False)

    def issue(self) -> dict[str, Any] | None:
        """The open issue of the incident's signal, else the newest one; None where there is none, and no open one at an end."""
        for states in (self._kind.open_ones,) if self.is_ended else (self._kind.open_ones, "state=all"):
            rows = self._host.rows(f"{self._issues}?labels={LABEL}&{states}&{self._kind.order}")
            # At its begin: what follows has texts from data.
            found = next((row for row in rows if str(row.get(self._kind.body)).startswith(self._mark)), None)
            if found is not None:
                return found
        return None

    @staticmethod
    def is_open(issue: Mapping[str, Any]) -> bool:
        return bool(issue.get("state") != "closed")

    def has_message(self, issue: Mapping[str, Any]) -> bool:
        """Whether the issue, or one of its comments, holds this message."""
        marks = f"{self._mark}\n{self._message_mark}"
        if str(issue.get(self._kind.body)).startswith(marks):
            return True
        return any(str(row.get("body")).startswith(marks) for row in self._host.rows(self._comments(issue)))

    def create(self) -> None:
        title = cut(" ".join(self._heading.split()), _TITLE)
        labels = {"labels": [LABEL] if self._kind.body == "body" else LABEL}
        answer = self._host.send("POST", self._issues, {"title": title, self._kind.body: self._text(), **labels})
        if f'"{LABEL}"' not in answer.body:
            _log.warning("%s", error_text("the issue has no label, so it cannot be closed", self._issues, _RIGHTS))

    def comment(self, issue: Mapping[str, Any]) -> None:
        if not self.has_message(issue):
            self._host.send("POST", self._comments(issue), {"body": self._text()})

    def change(self, issue: Mapping[str, Any], change: Mapping[str, str]) -> None:
        self._host.send(self._kind.update, f"{self._issues}/{issue[self._kind.number]}", change)

    def _comments(self, issue: Mapping[str, Any]) -> str:
        return f"{self._issues}/{issue[self._kind.number]}/{self._kind.comments}"

    def _text(self) -> str:
        """Markdown; facts are text to copy, in which nothing is a link or a mention."""
        problem = self._problem
        facts = [cut(f"{label.capitalize()}: {text}", _LINE) for label, text in problem["facts"].items()]
        lines = [
            self._mark,
            self._message_mark,
            f"**{markdown.plain(problem['state'])}** {markdown.plain(problem['title'])}",
            "",
        ]
        lines += markdown.code_block("\n".join(facts), "text") if facts else []
        report = problem.get("report")
        return "\n".join([*lines, "", markdown.link("Report", report)] if report else lines)


def _ended(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message as the end of what it opened."""
    problem = {**message["problems"][0], "is_ended": True, "state": "CLOSED", "facts": {}}
    return {**message, "problems": [problem]}
