"""The comment of a pull request, on servers of GitHub's and GitLab's shape on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from offdag.errors import DeliveryError
from offdag.review.comment import mark_of, write_comment
from offdag.settings import Settings

TOKEN = "token-of-the-job"
MARK = mark_of("shop", "ci")


@dataclass
class Forge:
    """Comments of one pull request, in pages as asked for.

    Attributes:
        comments: Text by id.
        requests: Method and path of each request.
        status: Answered instead of the comments; 0 for none.
    """

    comments: dict[int, str] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)
    status: int = 0
    url: str = ""


@pytest.fixture
def forge() -> Iterator[Forge]:
    found = Forge()

    class Handler(BaseHTTPRequestHandler):
        def answer(self, document: object, status: int = 200) -> None:
            body = json.dumps(document).encode()
            self.send_response(found.status or status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def note(self) -> str:
            found.requests.append((self.command, self.path))
            assert TOKEN in (self.headers.get("Authorization", "") + self.headers.get("PRIVATE-TOKEN", ""))
            length = int(self.headers.get("Content-Length") or 0)
            return str(json.loads(self.rfile.read(length))["body"]) if length else ""

        def do_GET(self) -> None:
            self.note()
            page = int(self.path.rpartition("page=")[2])
            rows = [{"id": number, "body": text} for number, text in found.comments.items()]
            self.answer(rows[(page - 1) * 100 : page * 100])

        def do_POST(self) -> None:
            found.comments[len(found.comments) + 1] = self.note()
            self.answer({}, 201)

        def do_PATCH(self) -> None:
            found.comments[int(self.path.rpartition("/")[2])] = self.note()
            self.answer({})

        def do_PUT(self) -> None:
            self.do_PATCH()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    server.server_close()
    thread.join()


def settings(forge: Forge, kind: str, **more: str) -> Settings:
    environ = {
        "github": {"GITHUB_API_URL": forge.url, "GITHUB_REPOSITORY": "acme/shop", "OFFDAG_GITHUB_TOKEN": TOKEN},
        "gitlab": {"CI_API_V4_URL": forge.url, "CI_PROJECT_ID": "12", "OFFDAG_GITLAB_TOKEN": TOKEN},
    }[kind]
    return Settings.load({}, {**environ, "OFFDAG_PULL_REQUEST": "7", **more})


@pytest.mark.parametrize(
    ("kind", "listed", "method", "changed"),
    [
        ("github", "/repos/acme/shop/issues/7/comments", "PATCH", "/repos/acme/shop/issues/comments/103"),
        ("gitlab", "/projects/12/merge_requests/7/notes", "PUT", "/projects/12/merge_requests/7/notes/103"),
    ],
)
def test_one_comment_is_written_and_then_kept_up_to_date(
    forge: Forge, kind: str, listed: str, method: str, changed: str
) -> None:
    forge.comments = {number: f"comment {number} of others" for number in range(1, 103)}
    assert write_comment(settings(forge, kind), "first", MARK) == "written"
    assert write_comment(settings(forge, kind), "second", MARK) == "updated"
    assert forge.comments[103] == f"{MARK}\nsecond"
    assert len(forge.comments) == 103
    pages = [("GET", f"{listed}?per_page=100&page={page}") for page in (1, 2)]
    assert forge.requests == [*pages, ("POST", listed), *pages, (method, changed)]


def test_what_keeps_the_comment_from_being_written_is_named_without_the_token(forge: Forge) -> None:
    forge.status = 403
    with pytest.raises(DeliveryError, match="the server answered 403") as refused:
        write_comment(settings(forge, "github"), "text", MARK)
    assert TOKEN not in str(refused.value)
    with pytest.raises(DeliveryError, match="OFFDAG_GITHUB_TOKEN not set"):
        write_comment(settings(forge, "github", OFFDAG_GITHUB_TOKEN=""), "text", MARK)
    with pytest.raises(DeliveryError, match="no pull request"):
        write_comment(settings(forge, "github", OFFDAG_PULL_REQUEST=""), "text", MARK)
    forge.url = "http://127.0.0.1:9"
    with pytest.raises(DeliveryError, match="the connection was refused"):
        write_comment(settings(forge, "github"), "text", MARK)


def test_two_projects_of_one_pull_request_have_a_comment_each(forge: Forge) -> None:
    others = mark_of("shop", "ci_full"), mark_of("other", "ci")
    assert len({MARK, *others}) == 3
    for mark in (MARK, *others):
        write_comment(settings(forge, "github"), "text", mark)
    assert write_comment(settings(forge, "github"), "newer", others[0]) == "updated"
    assert sorted(forge.comments.values()) == sorted([f"{MARK}\ntext", f"{others[0]}\nnewer", f"{others[1]}\ntext"])
