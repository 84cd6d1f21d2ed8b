"""Jobs of dbt platform, read from a server on loopback in the shape of its Administrative API v2."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from offdag.history.history import History
from sim import artifacts
from support.command import CommandResult, offdag

TOKEN = "dbtc_secret-of-the-test"
JOB = "dbt-platform://17/42"


class Platform:
    """Runs of one job: each has a freshness step that left nothing, and a build."""

    def __init__(self) -> None:
        self.runs: list[int] = []
        self.running: set[int] = set()
        self.asked: list[str] = []
        self.status = 200
        self.location = ""
        platform = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                platform.asked.append(parts.path)
                status, body = platform.answer(parts.path, parse_qs(parts.query))
                if self.headers.get("Authorization") != f"Token {TOKEN}":
                    status, body = 401, {}
                self.send_response(platform.status if platform.status != 200 else status)
                if platform.location:
                    self.send_header("Location", platform.location)
                self.end_headers()
                self.wfile.write(json.dumps(body).encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    def answer(self, path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        if path == "/api/v2/accounts/17/runs/" and query["job_definition_id"] == ["42"]:
            first, count = int(query["offset"][0]), int(query["limit"][0])
            listed = sorted(self.runs, reverse=True)[first : first + count]
            return 200, {"data": [self._run(number) for number in listed]}
        match = re.fullmatch(r"/api/v2/accounts/17/runs/(\d+)/(?:artifacts/(.*))?", path)
        if match is None:
            return 404, {}
        number, artifact = int(match[1]), match[2]
        if artifact is None:
            return 200, {"data": {"run_steps": [{"index": 1, "name": "clone"}, {"index": 4, "name": "dbt build"}]}}
        if query["step"] != ["4"]:
            return 404, {}
        if artifact == "":
            return 200, {"data": ["run_results.json", "manifest.json", "compiled/p/m.sql"]}
        at = artifacts.NOW + timedelta(hours=number)
        node = artifacts.node("model.p.m")
        documents = {
            "manifest.json": artifacts.manifest([node], at),
            "run_results.json": artifacts.run_results([artifacts.result("model.p.m", "error", at)], at),
        }
        return 200, documents[artifact]

    def _run(self, number: int) -> dict[str, Any]:
        page = f"https://cloud.example/runs/{number}"
        return {
            "id": number,
            "is_complete": number not in self.running,
            "git_sha": f"{number:08x}",
            "git_branch": "main",
            "href": page,
        }


@pytest.fixture
def platform() -> Iterator[Platform]:
    found = Platform()
    yield found
    found.server.shutdown()
    found.server.server_close()


def collect(home: Path, platform: Platform, token: str = TOKEN, url: str = JOB) -> CommandResult:
    env = {"OFFDAG_DBT_PLATFORM_URL": platform.url, "OFFDAG_DBT_PLATFORM_TOKEN": token}
    return offdag(home, "collect", "-e", "prod", url, env=env)


def test_each_complete_run_is_a_job_with_its_commit_and_page(platform: Platform, tmp_path: Path) -> None:
    platform.runs, platform.running = [1, 2, 3], {3}
    ended = collect(tmp_path, platform)
    assert ended.code == 0, ended
    assert "collected 2 new runs of dbt-platform://17/42: artifacts: 3 accepted, 1 duplicate" in ended.err
    rows = History(str(tmp_path / "history")).read("invocations").to_pylist()
    found = sorted(
        (row["job_id"], row["git_sha"], row["git_branch"], row["ci_url"], row["environment"]) for row in rows
    )
    page = "https://cloud.example/runs"
    assert found == [
        ("dbt-platform-1", "00000001", "main", f"{page}/1", "prod"),
        ("dbt-platform-2", "00000002", "main", f"{page}/2", "prod"),
    ]


def test_only_new_runs_are_read_again(platform: Platform, tmp_path: Path) -> None:
    platform.runs, platform.running = [1, 2], {2}
    assert collect(tmp_path, platform).code == 0
    platform.running = set()
    platform.asked.clear()
    ended = collect(tmp_path, platform)
    assert "collected 1 new runs" in ended.err
    assert not [path for path in platform.asked if "/runs/1/" in path]
    platform.asked.clear()
    assert "collected 0 new runs" in collect(tmp_path, platform).err
    assert platform.asked == ["/api/v2/accounts/17/runs/"]


def test_a_first_collection_goes_back_over_several_pages(platform: Platform, tmp_path: Path) -> None:
    platform.runs = list(range(1, 131))
    platform.running = set(range(3, 131))
    assert "collected 2 new runs" in collect(tmp_path, platform).err


def test_a_run_is_noted_only_after_its_rows(platform: Platform, tmp_path: Path) -> None:
    """The API fails after the first run: that one is kept, and the next time the other one is collected."""
    platform.runs = [1, 2]
    whole = platform.answer

    def failing(path: str, query: dict[str, list[str]]) -> tuple[int, Any]:
        return (500, {}) if "/runs/2/" in path else whole(path, query)

    platform.answer = failing  # type: ignore[method-assign]
    ended = collect(tmp_path, platform)
    assert (ended.code, "dbt platform answered with 500" in ended.err) == (2, True), ended
    platform.answer = whole  # type: ignore[method-assign]
    assert "collected 1 new runs" in collect(tmp_path, platform).err
    assert len(History(str(tmp_path / "history")).read("invocations")) == 2


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "does not accept the token"),
        (403, "may not read this job"),
        (404, "no such account or job"),
        (500, "answered with 500"),
    ],
)
def test_the_reason_of_a_refusal_is_shown(platform: Platform, tmp_path: Path, status: int, words: str) -> None:
    platform.status = status
    ended = collect(tmp_path, platform)
    assert ended.code == 2, ended
    assert words in ended.err
    assert TOKEN not in ended.err + ended.out


def test_the_token_is_given_to_no_other_host(platform: Platform, tmp_path: Path) -> None:
    platform.status, platform.location = 302, "https://elsewhere.example/runs"
    ended = collect(tmp_path, platform)
    assert ended.code == 2
    assert "answered with 302" in ended.err


def test_mistakes_before_the_first_request(platform: Platform, tmp_path: Path) -> None:
    assert "there is no token for dbt platform" in collect(tmp_path, platform, token="").err
    assert "names no account and job by their numbers" in collect(tmp_path, platform, url="dbt-platform://shop").err
    platform.server.server_close()
    assert platform.asked == []
