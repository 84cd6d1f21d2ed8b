"""The summary as one comment of a pull request on GitHub, or a merge request on GitLab: written once, then kept up to date."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from offdag.errors import DeliveryError
from offdag.notify.http import Answer, AnswerLost, NotSent, request
from offdag.settings import Settings

# Comments of one page; GitHub and GitLab give at most 100.
_PAGE = 100
_MOST_PAGES = 20


@dataclass(frozen=True)
class _Place:
    """Where the comments of one pull request are.

    Attributes:
        comments: URL of the list.
        comment: URL of one comment, before its id.
        update: HTTP method of a change.
        headers: With the token.
    """

    comments: str
    comment: str
    update: str
    headers: Mapping[str, str]


def mark_of(project: str, target: str) -> str:
    """The hidden first line of the comment: a pull request has one for each dbt project and target."""
    digest = hashlib.sha256(f"{project}\n{target}".encode()).hexdigest()
    return f"<!-- offdag {digest[:12]} -->"


def write_comment(settings: Settings, text: str, mark: str) -> str:
    """Write the comment, or change the one that is there.

    Args:
        settings: Name the pull request, the page of its comments, and the token.
        text: Markdown.
        mark: Begins our comment, and none of others; see :func:`mark_of`.

    Returns:
        What was done: written or updated.

    Raises:
        DeliveryError: There is no pull request or token, or the server refused.
    """
    place = _place(settings)
    body = json.dumps({"body": f"{mark}\n{text}"}).encode()
    existing = next((c["id"] for c in _comments(settings, place) if str(c.get("body", "")).startswith(mark)), None)
    if existing is None:
        _send(settings, "POST", place.comments, place.headers, body)
        return "written"
    _send(settings, place.update, f"{place.comment}/{existing}", place.headers, body)
    return "updated"


def _place(settings: Settings) -> _Place:
    environ, number = settings.environ, settings.origin.pull_request
    is_gitlab = bool(environ.get("CI_API_V4_URL"))
    # Those of GitLab and GitHub, but for GitLab's token: its own has no right to write comments.
    needed = ("CI_PROJECT_ID", "OFFDAG_GITLAB_TOKEN") if is_gitlab else ("GITHUB_REPOSITORY", "OFFDAG_GITHUB_TOKEN")
    missing = [name for name in needed if not environ.get(name)]
    if missing or not (number or "").isdigit():
        raise DeliveryError(
            "the comment has no place: " + (f"{', '.join(missing)} not set" if missing else "this is no pull request"),
            "--comment",
            "offdag ci --help    # docs/ci.md lists what the job needs",
        )
    if is_gitlab:
        project = quote(environ["CI_PROJECT_ID"], safe="")
        comments = f"{environ['CI_API_V4_URL'].rstrip('/')}/projects/{project}/merge_requests/{number}/notes"
        return _Place(
            comments,
            comments,
            "PUT",
            {"PRIVATE-TOKEN": settings.gitlab_token or "", "Content-Type": "application/json"},
        )
    api = environ.get("GITHUB_API_URL", "https://api.github.com").rstrip("/")
    repository = f"{api}/repos/{quote(environ['GITHUB_REPOSITORY'])}"
    headers = {
        "Authorization": f"Bearer {settings.github_token}",
        "Accept": "application/vnd.github+json",
        "Content-Type": "application/json",
        "User-Agent": "offdag",
    }
    return _Place(f"{repository}/issues/{number}/comments", f"{repository}/issues/comments", "PATCH", headers)


def _comments(settings: Settings, place: _Place) -> Iterator[dict[str, Any]]:
    for page in range(1, _MOST_PAGES + 1):
        answer = _send(settings, "GET", f"{place.comments}?per_page={_PAGE}&page={page}", place.headers)
        try:
            found = json.loads(answer.body)
        except ValueError:
            found = None
        if not isinstance(found, list):
            raise DeliveryError(
                "the server's list of comments cannot be read", "--comment", "offdag ci --comment    # try again"
            )
        yield from (comment for comment in found if isinstance(comment, dict))
        if len(found) < _PAGE:
            return


def _send(settings: Settings, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None) -> Answer:
    try:
        answer = request(method, url, headers, body, settings.proxy_for(url))
    except (NotSent, AnswerLost) as error:
        raise DeliveryError(f"the comment was not written: {error}", "--comment", "offdag ci --comment") from error
    if answer.status // 100 != 2:
        hint = "a token with the right to write comments" if answer.status in (401, 403, 404) else "try again"
        raise DeliveryError(
            f"the comment was not written: the server answered {answer.status}",
            "--comment",
            f"offdag ci --comment    # {hint}",
        )
    return answer
