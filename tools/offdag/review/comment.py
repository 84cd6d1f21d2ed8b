"""The summary as one comment of a pull request on GitHub, or a merge request on GitLab: written once, then kept up to date."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from urllib.parse import quote

from offdag.errors import DeliveryError
from offdag.notify.code_host import BadAnswer, CodeHost
from offdag.notify.http import AnswerLost, NotSent
from offdag.settings import Settings


@dataclass(frozen=True)
class _Place:
    """Where the comments of one pull request are.

    Attributes:
        host: The API.
        comments: Path of the list.
        comment: Path of one comment, before its id.
        update: HTTP method of a change.
    """

    host: CodeHost
    comments: str
    comment: str
    update: str


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
    content = {"body": f"{mark}\n{text}"}
    try:
        rows = place.host.rows(place.comments)
        existing = next((row["id"] for row in rows if str(row.get("body", "")).startswith(mark)), None)
        if existing is None:
            place.host.send("POST", place.comments, content)
            return "written"
        place.host.send(place.update, f"{place.comment}/{existing}", content)
    except (NotSent, AnswerLost) as error:
        raise DeliveryError(f"the comment was not written: {error}", "--comment", "offdag ci --comment") from error
    except BadAnswer as error:
        hint = "a token with the right to write comments" if error.status in (401, 403, 404) else "try again"
        raise DeliveryError(
            f"the comment was not written: {error}", "--comment", f"offdag ci --comment    # {hint}"
        ) from error
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
        comments = f"projects/{project}/merge_requests/{number}/notes"
        return _Place(CodeHost.gitlab(settings), comments, comments, "PUT")
    repository = f"repos/{quote(environ['GITHUB_REPOSITORY'])}"
    comments = f"{repository}/issues/{number}/comments"
    return _Place(CodeHost.github(settings), comments, f"{repository}/issues/comments", "PATCH")
