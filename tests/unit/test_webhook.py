"""The generic webhook and the heartbeat, against a server on loopback."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from test_messages import due

from offdag.errors import UsageError
from offdag.history.history import History
from offdag.notify.delivery import Delivery, Outcome, sinks_for
from offdag.notify.heartbeat import beat
from offdag.notify.webhook import Webhook
from offdag.settings import Settings
from support.command import offdag

SECRET = "secret-of-the-url"


class Receiver:
    """Records what arrives, and answers with the next of ``statuses``, then 200."""

    def __init__(self) -> None:
        self.received: list[tuple[str, str, Any]] = []
        self.statuses: list[int] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                receiver.received.append((self.path, self.headers.get("Idempotency-Key", ""), body))
                self.send_response(receiver.statuses.pop(0) if receiver.statuses else 200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/{SECRET}"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, daemon=True)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


def deliver(home: Path, receiver: Receiver) -> Outcome:
    history = History(str(home / "history"))
    return Delivery(history, Webhook(receiver.url), lambda _: None).deliver([due(sink="webhook")])


def test_a_message_arrives_once_as_a_document(tmp_path: Path, receiver: Receiver) -> None:
    assert deliver(tmp_path, receiver).messages == 1
    assert deliver(tmp_path, receiver).messages == 0
    [(_, key, body)] = receiver.received
    told = json.loads(body)
    assert told["id"] == key != ""
    assert told["channel"] == "#data-alerts"
    assert told["message"]["problems"][0]["title"] == "test unique on orders.id fails"


def test_a_refusal_stays_due_and_never_shows_the_url(tmp_path: Path, receiver: Receiver) -> None:
    receiver.statuses = [403]
    outcome = deliver(tmp_path, receiver)
    assert outcome.failures[0].what == "webhook refused a message: the webhook answered 403"
    assert SECRET not in str(outcome.failures[0])
    assert deliver(tmp_path, receiver).messages == 1


def test_after_a_server_error_nobody_knows(tmp_path: Path, receiver: Receiver) -> None:
    receiver.statuses = [500]
    assert deliver(tmp_path, receiver).unknown == 1


def test_the_webhook_stands_beside_slack(receiver: Receiver) -> None:
    both = {"OFFDAG_WEBHOOK_URL": receiver.url, "OFFDAG_SLACK_BOT_TOKEN": "xoxb-1"}
    assert [s.name for s in sinks_for(Settings.load({}, both), print)] == ["slack", "webhook"]
    assert [s.name for s in sinks_for(Settings.load({}, {}), print)] == ["stdout"]


def test_a_url_of_another_kind_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError) as refused:
        Settings.load({}, {"OFFDAG_WEBHOOK_URL": f"file:///{SECRET}"})
    assert SECRET not in str(refused.value)


@pytest.mark.xdist_group("monitor")
def test_the_heartbeat_follows_a_monitor_run(tmp_path: Path, receiver: Receiver) -> None:
    env = {"OFFDAG_HEARTBEAT_URL": receiver.url}
    assert offdag(tmp_path, "monitor", env=env).code == 0
    gone = offdag(tmp_path, "monitor", "--monitor-project-dir", str(tmp_path / "nowhere"), env=env)
    assert gone.code == 2
    assert [path for path, _, _ in receiver.received] == [f"/{SECRET}", f"/{SECRET}/fail"]
    assert receiver.received[0][2].startswith("monitored as of ")
    assert SECRET not in gone.err


def test_a_heartbeat_that_nobody_hears_is_a_line_and_no_more(receiver: Receiver) -> None:
    said: list[str] = []
    receiver.statuses = [404]
    beat(receiver.url, True, "line", said.append)
    beat("http://127.0.0.1:9/", True, "line", said.append)
    assert said == [
        "the heartbeat was not heard: it was answered 404",
        "the heartbeat was not heard: no answer (ConnectionRefusedError)",
    ]
