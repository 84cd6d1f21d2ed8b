"""The APIs of GitHub and GitLab, as far as comments and issues need them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from offdag.notify.http import Answer, request
from offdag.settings import Settings

# Rows of one page; GitHub and GitLab give at most 100.
_PAGE = 100
_MOST_PAGES = 20


class BadAnswer(Exception):
    """The server answered something else than what was asked for.

    Attributes:
        status: HTTP status.
        body: The first part of the answer.
    """

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"the server answered {status}")
        self.status = status
        self.body = body


class CodeHost:
    """One of them.

    Args:
        api: Its base URL.
        headers: With the token.
        settings: Name the proxy.
    """

    def __init__(self, api: str, headers: Mapping[str, str], settings: Settings) -> None:
        self._api = api.rstrip("/")
        self._headers = {**headers, "Content-Type": "application/json", "User-Agent": "offdag"}
        self._settings = settings

    @classmethod
    def github(cls, settings: Settings) -> CodeHost:
        """GitHub, or a GitHub Enterprise server."""
        token = f"Bearer {settings.github_token}"
        headers = {"Authorization": token, "Accept": "application/vnd.github+json"}
        return cls(settings.github_api_url, headers, settings)

    @classmethod
    def gitlab(cls, settings: Settings) -> CodeHost:
        """GitLab, or a GitLab server of one's own."""
        return cls(settings.gitlab_api_url, {"PRIVATE-TOKEN": settings.gitlab_token or ""}, settings)

    def send(self, method: str, path: str, content: object = None) -> Answer:
        """Make one request.

        Args:
            method: Such as GET.
            path: After the base URL.
            content: Sent as JSON; None for nothing.

        Raises:
            NotSent: No connection could be made.
            AnswerLost: There was a connection, and no answer.
            BadAnswer: The status is no success.
        """
        url = f"{self._api}/{path}"
        body = None if content is None else json.dumps(content).encode()
        answer = request(method, url, self._headers, body, self._settings.proxy_for(url))
        if answer.status // 100 != 2:
            raise BadAnswer(answer.status, answer.body)
        return answer

    def rows(self, path: str) -> Iterator[dict[str, Any]]:
        """The rows of a list, over its pages.

        Raises:
            NotSent, AnswerLost, BadAnswer: As for :meth:`send`; BadAnswer also where the answer is no list.
        """
        for page in range(1, _MOST_PAGES + 1):
            answer = self.send("GET", f"{path}{'&' if '?' in path else '?'}per_page={_PAGE}&page={page}")
            try:
                found = json.loads(answer.body)
            except ValueError:
                found = None
            if not isinstance(found, list):
                raise BadAnswer(answer.status, answer.body)
            yield from (row for row in found if isinstance(row, dict))
            if len(found) < _PAGE:
                return
