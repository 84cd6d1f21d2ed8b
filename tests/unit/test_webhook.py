"""The generic webhook and the heartbeat, against a server on loopback."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from offdag.errors import UsageError
from offdag.history.history import History
from offdag.notify.delivery import Delivery, Outcome
from offdag.notify.heartbeat import call_heartbeat
from offdag.notify.sinks import sinks_for
from offdag.notify.webhook import SlackWebhook, Webhook
from offdag.settings import Settings
from sim.notifications import due
from support.receiver import SECRET, Receiver


def deliver(home: Path, receiver: Receiver) -> Outcome:
    history = History(str(home / "history"))
    return Delivery(history, Webhook(receiver.url), pause=lambda _: None).deliver([due(sink="webhook")])


def test_a_message_arrives_once_as_a_document(tmp_path: Path, receiver: Receiver) -> None:
    assert deliver(tmp_path, receiver).messages == 1
    assert deliver(tmp_path, receiver).messages == 0
    [(_, key, body)] = receiver.received
    content = json.loads(body)
    assert content["id"] == key != ""
    assert content["channel"] == "#data-alerts"
    assert content["message"]["problems"][0]["title"] == "test unique on orders.id fails"


def test_a_document_is_signed_where_a_secret_is_set(receiver: Receiver) -> None:
    environ = {"OFFDAG_WEBHOOK_URL": receiver.url, "OFFDAG_WEBHOOK_SECRET": "s3cret-of-both"}
    settings = Settings.load({}, environ)
    [hook, unsigned] = *sinks_for(settings, print), Webhook(receiver.url)
    for sink in (hook, unsigned):
        sink.post({"channel": "#a", "message": {"text": "été"}}, "id-1")
    body = receiver.received[0][2].encode()
    # As its receiver computes it.
    key = hashlib.sha256(b"").block_size * b"\0"
    inner, outer = (
        bytes(a ^ b for a, b in zip(b"s3cret-of-both".ljust(len(key), b"\0"), pad * len(key), strict=True))
        for pad in (b"6", b"\\")
    )
    expected = hashlib.sha256(outer + hashlib.sha256(inner + body).digest()).hexdigest()
    assert receiver.signatures == [f"sha256={expected}", None]
    assert "s3cret-of-both" in settings.secrets
    assert "s3cret-of-both" not in repr(settings)


def test_a_refusal_stays_due_and_never_shows_the_url(tmp_path: Path, receiver: Receiver) -> None:
    receiver.statuses = [403]
    outcome = deliver(tmp_path, receiver)
    assert outcome.failures[0].what == "webhook refused a message: the webhook answered 403"
    assert SECRET not in str(outcome.failures[0])
    assert deliver(tmp_path, receiver).messages == 1


def test_after_a_server_error_the_outcome_is_unknown(tmp_path: Path, receiver: Receiver) -> None:
    receiver.statuses = [500]
    assert deliver(tmp_path, receiver).unknown == 1


def test_the_webhook_is_used_besides_slack(receiver: Receiver) -> None:
    both = {"OFFDAG_WEBHOOK_URL": receiver.url, "OFFDAG_SLACK_BOT_TOKEN": "xoxb-1"}
    assert [s.name for s in sinks_for(Settings.load({}, both), print)] == ["slack", "webhook"]
    assert [s.name for s in sinks_for(Settings.load({}, {}), print)] == ["stdout"]


def test_a_url_of_another_kind_is_refused_and_not_shown() -> None:
    with pytest.raises(UsageError) as refused:
        Settings.load({}, {"OFFDAG_WEBHOOK_URL": f"file:///{SECRET}"})
    assert SECRET not in str(refused.value)


def test_a_heartbeat_that_fails_is_a_line_and_no_more(receiver: Receiver, caplog: pytest.LogCaptureFixture) -> None:
    receiver.statuses = [404]
    call_heartbeat(Settings.load({}, {"OFFDAG_HEARTBEAT_URL": receiver.url}), True, "line")
    call_heartbeat(Settings.load({}, {"OFFDAG_HEARTBEAT_URL": "http://127.0.0.1:9/"}), True, "line")
    assert caplog.messages == [
        "the heartbeat call failed: the answer was 404",
        "the heartbeat call failed: the connection was refused",
    ]


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_a_refusal_and_is_not_followed(tmp_path: Path, receiver: Receiver, status: int) -> None:
    receiver.statuses = [status]
    outcome = deliver(tmp_path, receiver)
    assert outcome.failures[0].what == f"webhook refused a message: the webhook answered {status}"
    assert len(receiver.received) == 1
    # It is still due.
    assert deliver(tmp_path, receiver).messages == 1


def test_a_host_name_that_does_not_exist_is_a_refusal(tmp_path: Path) -> None:
    hook = Webhook("http://no-such-host.invalid/x")
    outcome = Delivery(History(str(tmp_path / "history")), hook).deliver([due(sink="webhook")])
    assert "cannot be reached: the host name cannot be resolved" in outcome.failures[0].what


def test_an_expected_answer_that_does_not_come_is_unknown(tmp_path: Path, receiver: Receiver) -> None:
    history = History(str(tmp_path / "history"))
    hook = Webhook(receiver.url, expected="accepted")
    assert Delivery(history, hook, pause=lambda _: None).deliver([due(sink="webhook")]).unknown == 1
    receiver.body = "accepted: 1"
    fresh = due(sink="webhook", notification_id="n2")
    assert Delivery(history, hook, pause=lambda _: None).deliver([fresh]).messages == 1


@pytest.mark.parametrize("body", ["<html>login</html>", "", "okay"])
def test_slacks_webhook_has_to_answer_ok(tmp_path: Path, receiver: Receiver, body: str) -> None:
    receiver.body = body
    outcome = Delivery(History(str(tmp_path / "history")), SlackWebhook(receiver.url)).deliver([due()])
    assert (outcome.messages, outcome.unknown) == (0, 1)
