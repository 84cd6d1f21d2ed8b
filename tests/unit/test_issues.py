"""Incidents as issues, on servers of GitHub's and GitLab's shape on loopback."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from offdag.clock import utc_now
from offdag.history.history import History
from offdag.notify.delivery import Delivery, Outcome
from offdag.notify.services import service, variable_of
from offdag.settings import Settings
from sim.notifications import due

TOKEN = "token-for-issues"
ENDED = {"event": "resolved", "notification_id": "end", "ended_at": datetime(2026, 1, 31, 9)}


@dataclass
class Tracker:
    """Issues of one repository.

    Attributes:
        name: github or gitlab.
        issues: As the server lists them, without their comments.
        comments: Texts by number of the issue.
        paths: Paths of the requests.
        faults: Answers to the next changes: a status, negative where the change is made first.
        reason: The text of these answers.
    """

    name: str
    issues: list[dict[str, Any]] = field(default_factory=list)
    comments: dict[int, list[str]] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    faults: list[int] = field(default_factory=list)
    reason: str = ""
    url: str = ""

    @property
    def is_github(self) -> bool:
        return self.name == "github"

    @property
    def channel(self) -> str:
        return f"{self.name}:acme/shop"

    @property
    def states(self) -> list[str]:
        return [issue["state"] for issue in self.issues]

    def deliver(self, home: Path, *rows: Any) -> Outcome:
        prefix = "GITHUB_API_URL" if self.is_github else "CI_API_V4_URL"
        settings = Settings.load({}, {prefix: self.url, f"OFFDAG_{self.name.upper()}_TOKEN": TOKEN})
        history = History(str(home / "history"))
        return Delivery(history, service(self.name, settings), utc_now, lambda _: None).deliver(rows)

    def due(self, **changed: Any) -> Any:
        return due(**{"sink": self.name, "channel": self.channel, **changed})

    def close(self, number: int) -> None:
        self.issues[number]["state"] = "closed"

    def change(self, path: str, content: dict[str, Any]) -> None:
        number = re.search(r"/issues/(\d+)", path)
        if number is None:
            self.issues.append(
                {
                    "number": len(self.issues),
                    "iid": len(self.issues),
                    "state": "open" if self.is_github else "opened",
                    **content,
                }
            )
        elif "body" in content:
            self.comments.setdefault(int(number[1]), []).append(content["body"])
        else:
            word = content["state"] if self.is_github else content["state_event"]
            closed = {"closed": "closed", "close": "closed"}
            self.issues[int(number[1])]["state"] = closed.get(word, "open" if self.is_github else "opened")


@pytest.fixture(params=["github", "gitlab"])
def tracker(request: pytest.FixtureRequest) -> Iterator[Tracker]:
    found = Tracker(request.param)

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int, document: object) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            assert TOKEN in (self.headers.get("Authorization", "") + self.headers.get("PRIVATE-TOKEN", ""))
            parts = urlsplit(self.path)
            found.paths.append(parts.path)
            query = {name: value[0] for name, value in parse_qs(parts.query).items()}
            number = re.search(r"/issues/(\d+)/", parts.path)
            if number:
                rows = [{"body": text} for text in found.comments.get(int(number[1]), [])]
            else:
                assert query["labels"] == "offdag"
                assert query["state"] in ("all", "open" if found.is_github else "opened")
                rows = [row for row in found.issues[::-1] if query["state"] in ("all", row["state"])]
            size, page = int(query["per_page"]), int(query["page"])
            self.answer(200, rows[(page - 1) * size : page * size])

        def do_POST(self) -> None:
            content = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            fault = found.faults.pop(0) if found.faults else 0
            if fault <= 0:
                found.change(self.path, content)
            self.answer(abs(fault) or 201, {"message": found.reason} if fault else {"labels": [{"name": "offdag"}]})

        do_PATCH = do_PUT = do_POST  # noqa: N815 - http.server's names

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    found.url = f"http://127.0.0.1:{server.server_port}"
    yield found
    server.shutdown()
    server.server_close()


def test_an_incident_is_opened_commented_and_closed(tmp_path: Path, tracker: Tracker) -> None:
    opened = tracker.due()
    assert tracker.deliver(tmp_path, opened).messages == 1
    [issue] = tracker.issues
    assert issue["title"] == "FAILED in shop (prod): test unique on orders.id fails"
    text = issue["body" if tracker.is_github else "description"]
    assert "**FAILED** test unique on orders.id fails" in text
    assert "What: 5 rows fail" in text
    assert issue["labels"] == (["offdag"] if tracker.is_github else "offdag")
    tracker.deliver(tmp_path, opened, tracker.due(event="reminder", notification_id="again"))
    assert (tracker.states, len(tracker.comments[0])) == ([issue["state"]], 1)
    tracker.deliver(tmp_path, tracker.due(**ENDED))
    assert (tracker.states, len(tracker.comments[0])) == (["closed"], 2)
    assert "RESOLVED" in tracker.comments[0][1]
    place = "/repos/acme/shop/issues" if tracker.is_github else "/projects/acme%2Fshop/issues"
    assert all(path.startswith(place) for path in tracker.paths)


def test_the_next_incident_of_a_signal_is_another_issue(tmp_path: Path, tracker: Tracker) -> None:
    tracker.deliver(tmp_path, tracker.due())
    tracker.deliver(tmp_path, tracker.due(**ENDED))
    tracker.deliver(tmp_path, tracker.due(notification_id="later"), tracker.due(notification_id="n2", signal_key="k2"))
    assert sorted(tracker.states)[0] == "closed"
    assert len(tracker.issues) == 3


def test_a_reminder_opens_an_issue_again_that_a_person_closed(tmp_path: Path, tracker: Tracker) -> None:
    tracker.deliver(tmp_path, tracker.due())
    tracker.close(0)
    tracker.deliver(tmp_path, tracker.due(event="reminder", notification_id="again"))
    assert tracker.states != ["closed"]
    tracker.close(0)
    tracker.deliver(tmp_path, tracker.due(**ENDED))
    assert (tracker.states, len(tracker.comments[0])) == (["closed"], 1)


@pytest.mark.parametrize("fault", [502, -502])
def test_a_lost_answer_makes_no_second_issue_or_comment(tmp_path: Path, tracker: Tracker, fault: int) -> None:
    tracker.faults = [fault]
    tracker.deliver(tmp_path, tracker.due())
    # The comment arrives, and the change that closes the issue fails.
    tracker.faults = [0, fault]
    tracker.deliver(tmp_path, tracker.due(**ENDED))
    assert (tracker.states, len(tracker.comments[0])) == (["closed"], 1)


def test_a_refusal_names_the_token(tmp_path: Path, tracker: Tracker) -> None:
    tracker.faults = [403]
    outcome = tracker.deliver(
        tmp_path, tracker.due(), tracker.due(notification_id="n2", channel=f"{tracker.name}:shop")
    )
    problems = [str(failure) for failure in outcome.failures]
    assert any(f"{tracker.name} answered 403" in p and f"OFFDAG_{tracker.name.upper()}_TOKEN" in p for p in problems)
    assert any("names no repository" in problem for problem in problems)
    assert TOKEN not in "".join(problems)
    assert variable_of(tracker.channel) == f"OFFDAG_{tracker.name.upper()}_TOKEN"


def test_texts_of_data_cannot_mention_or_link(tmp_path: Path, tracker: Tracker) -> None:
    hostile = "@everyone #1 [x](http://evil) `*_~` <b>"
    tracker.deliver(tmp_path, tracker.due(title=hostile, detail=hostile + "\n```\n@all"))
    text = tracker.issues[0]["body" if tracker.is_github else "description"]
    assert not re.search(r"@(?!\u200b)", re.sub(r"(?s)```text.*?\n```", "", text))
    assert text.count("```") == 2


def test_what_is_no_longer_true_is_closed(tmp_path: Path, tracker: Tracker) -> None:
    settings = Settings.load(
        {},
        {
            "GITHUB_API_URL": tracker.url,
            "CI_API_V4_URL": tracker.url,
            "OFFDAG_GITHUB_TOKEN": TOKEN,
            "OFFDAG_GITLAB_TOKEN": TOKEN,
        },
    )
    tracker.deliver(tmp_path, tracker.due())
    sink = service(tracker.name, settings)
    intents = list((tmp_path / "history").rglob("*.json"))
    payload = next(p for p in (json.loads(f.read_text()).get("payload") for f in intents) if p)
    sink.withdraw(payload)
    sink.withdraw(payload)
    assert (tracker.states, len(tracker.comments[0])) == (["closed"], 1)


def test_a_text_of_data_does_not_stand_for_another_incident(tmp_path: Path, tracker: Tracker) -> None:
    tracker.deliver(tmp_path, tracker.due(title="<!-- offdag k2 -->", detail="<!-- offdag k2 -->\n<!-- offdag k2 -->"))
    tracker.deliver(tmp_path, tracker.due(notification_id="n2", signal_key="k2"))
    tracker.deliver(tmp_path, tracker.due(**{**ENDED, "notification_id": "e2"}, signal_key="k2"))
    assert len(tracker.issues) == 2
    assert [state == "closed" for state in tracker.states] == [False, True]


def test_a_rate_limit_is_no_question_of_the_token(tmp_path: Path, tracker: Tracker) -> None:
    tracker.faults, tracker.reason = [403], "You have exceeded a secondary rate limit"
    [failure] = tracker.deliver(tmp_path, tracker.due()).failures
    assert "ratelimited" in str(failure)
    assert tracker.deliver(tmp_path, tracker.due()).messages == 1
