"""Services that a route names: their requests in the services' own shapes, against a server on loopback."""

from __future__ import annotations

import json
import re
import socketserver
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from offdag.clock import utc_now
from offdag.errors import UsageError
from offdag.history.history import History
from offdag.notify.delivery import Delivery, Outcome
from offdag.notify.services import service, services_of, variable_of
from offdag.notify.sinks import Payload, PostedMessage, sinks_for
from offdag.settings import Settings
from sim.notifications import due
from support.command import ROOT
from support.receiver import SECRET, Receiver

NAMES = yaml.safe_load((ROOT / "monitor_project" / "dbt_project.yml").read_text())["vars"]["services"]
ENDED = {"event": "resolved", "notification_id": "end", "ended_at": datetime(2026, 1, 31, 9)}


def settings(receiver: Receiver, **more: str) -> Settings:
    url = receiver.url
    base = url.removesuffix(f"/{SECRET}")
    return Settings.load(
        {},
        {
            "OFFDAG_PAGERDUTY_ROUTING_KEY": "key-of-pagerduty",
            "OFFDAG_PAGERDUTY_URL": base,
            "OFFDAG_OPSGENIE_API_KEY": "key-of-opsgenie",
            "OFFDAG_OPSGENIE_URL": base,
            "OFFDAG_TEAMS_WEBHOOK_URL": url,
            "OFFDAG_TEAMS_WEBHOOK_URL_DATA_OPS": f"{url}/ops",
            "OFFDAG_DISCORD_WEBHOOK_URL": url,
            "OFFDAG_GOOGLE_CHAT_WEBHOOK_URL": url,
            **more,
        },
    )


def deliver(home: Path, receiver: Receiver, name: str, *rows: Any, clock: Any = utc_now) -> Outcome:
    history = History(str(home / "history"))
    return Delivery(history, service(name, settings(receiver)), clock, lambda _: None).deliver(rows)


def sent(receiver: Receiver) -> list[Any]:
    return [json.loads(body) for _, _, body in receiver.received]


def test_the_monitor_and_offdag_know_the_same_services(receiver: Receiver) -> None:
    tokens = {"OFFDAG_GITHUB_TOKEN": "x", "OFFDAG_GITLAB_TOKEN": "x"}
    apprise = settings(receiver, OFFDAG_APPRISE_URL="json://127.0.0.1", **tokens)
    assert services_of([], apprise) == set(NAMES)
    assert services_of([due(sink="teams", channel="teams")], Settings.load({}, {})) == {"teams"}
    sinks = sinks_for(apprise, print, services=set(NAMES))
    assert [sink.name for sink in sinks] == ["stdout", *sorted(NAMES)]


def test_pagerduty_gets_an_event_for_each_incident_and_its_end(tmp_path: Path, receiver: Receiver) -> None:
    at = {"sink": "pagerduty", "channel": "pagerduty"}
    opened = [due(**at), due(**at, notification_id="n2", signal_key="k2", severity="warning", title="model a is slow")]
    assert deliver(tmp_path, receiver, "pagerduty", *opened).messages == 2
    assert deliver(tmp_path, receiver, "pagerduty", *opened, due(**at, **ENDED)).messages == 1
    assert [path for path, *_ in receiver.received] == ["/v2/enqueue"] * 3
    first, second, end = sent(receiver)
    assert (first["routing_key"], first["event_action"], first["dedup_key"]) == (
        "key-of-pagerduty",
        "trigger",
        "offdag-k1",
    )
    assert first["payload"]["summary"] == "FAILED in shop (prod): test unique on orders.id fails"
    assert first["payload"]["severity"] == "error"
    assert first["payload"]["custom_details"]["what"] == "5 rows fail"
    assert (second["payload"]["severity"], second["dedup_key"]) == ("warning", "offdag-k2")
    assert end == {"routing_key": "key-of-pagerduty", "event_action": "resolve", "dedup_key": "offdag-k1"}


def test_opsgenie_gets_an_alert_and_its_close(tmp_path: Path, receiver: Receiver) -> None:
    at = {"sink": "opsgenie", "channel": "opsgenie"}
    deliver(tmp_path, receiver, "opsgenie", due(**at))
    deliver(tmp_path, receiver, "opsgenie", due(**at, **ENDED))
    assert [path for path, *_ in receiver.received] == [
        "/v2/alerts",
        "/v2/alerts/offdag-k1/close?identifierType=alias",
    ]
    alert, _ = sent(receiver)
    assert (alert["alias"], alert["priority"]) == ("offdag-k1", "P2")
    assert len(alert["message"]) <= 130
    assert "What: 5 rows fail" in alert["description"]


HOSTILE = "@everyone <users/all> [x](http://evil) `*_~` <at>all</at>"


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


@pytest.mark.parametrize("name", ["teams", "discord", "google_chat"])
def test_chats_get_one_message_whose_texts_cannot_mention_or_link(
    tmp_path: Path, receiver: Receiver, name: str
) -> None:
    rows = [due(sink=name, channel=name, notification_id=f"n{n}", signal_key=f"k{n}") for n in range(200)]
    rows[0] = due(sink=name, channel=name, title=HOSTILE, detail=HOSTILE, owner=">" * 5000)
    assert deliver(tmp_path, receiver, name, *rows).notifications == 200
    [body] = sent(receiver)
    assert len(json.dumps(body)) < 28_000, "Teams takes no more"
    text = "\n".join(_texts(body))
    assert "more: offdag incidents" in text
    assert name == "google_chat" or "[x](http" not in text
    mentions = "<users|<at>" if name == "google_chat" else "<users|<at>|@everyone"
    assert not re.search(rf"(?<!\\)({mentions})", text), text
    if name == "discord":
        assert body["allowed_mentions"] == {"parse": []}
        assert len(body["embeds"][0]["description"]) <= 4096
        assert receiver.received[0][0].endswith("?wait=true")
    if name == "teams":
        [card] = body["attachments"]
        assert card["contentType"] == "application/vnd.microsoft.card.adaptive"
        assert {block["type"] for block in card["content"]["body"]} == {"TextBlock"}


def test_a_name_after_the_service_chooses_its_variable(tmp_path: Path, receiver: Receiver) -> None:
    outcome = deliver(
        tmp_path,
        receiver,
        "teams",
        due(sink="teams", channel="teams:data-ops"),
        due(sink="teams", channel="teams:nobody", notification_id="n2"),
    )
    assert [path for path, *_ in receiver.received] == [f"/{SECRET}/ops"]
    [failure] = outcome.failures
    assert variable_of("teams:\u8d22\u52a1") == "OFFDAG_TEAMS_WEBHOOK_URL_", (
        "never set, so that nothing goes to another channel"
    )
    assert "OFFDAG_TEAMS_WEBHOOK_URL_NOBODY is not set" in str(failure)
    assert "export OFFDAG_TEAMS_WEBHOOK_URL_NOBODY=" in str(failure)


@pytest.mark.parametrize("name", ["pagerduty", "discord"])
def test_what_is_refused_stays_due_and_no_secret_is_shown(tmp_path: Path, receiver: Receiver, name: str) -> None:
    row = due(sink=name, channel=name)
    receiver.statuses = [429, 403]
    limited, refused = (deliver(tmp_path, receiver, name, row) for _ in range(2))
    assert "ratelimited" in str(limited.failures[0])
    assert f"{name} answered 403" in str(refused.failures[0])
    assert SECRET not in str(refused.failures)
    assert deliver(tmp_path, receiver, name, row).messages == 1


def test_a_lost_answer_of_a_pager_is_posted_again_as_the_same_alert(tmp_path: Path, receiver: Receiver) -> None:
    receiver.statuses = [503]
    outcome = deliver(tmp_path, receiver, "pagerduty", due(sink="pagerduty", channel="pagerduty"))
    assert (outcome.messages, outcome.unknown) == (1, 0)
    assert {event["dedup_key"] for event in sent(receiver)} == {"offdag-k1"}
    assert len(receiver.received) == 2


def test_a_lost_answer_of_a_chat_is_marked_when_it_comes_again(tmp_path: Path, receiver: Receiver) -> None:
    row = due(sink="discord", channel="discord")
    receiver.statuses = [503]
    assert deliver(tmp_path, receiver, "discord", row).unknown == 1
    later = utc_now() + timedelta(hours=1)
    deliver(tmp_path, receiver, "discord", row, clock=lambda: later)
    assert "Possible repeat" in sent(receiver)[-1]["embeds"][0]["description"]


def test_an_alert_that_may_have_opened_is_ended_where_it_is_no_longer_true(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sender was killed after the post, and the incident ended before another one ran."""
    pager = service("pagerduty", settings(receiver))
    post = pager.post

    def killed(payload: Payload, envelope_id: str) -> PostedMessage:
        post(payload, envelope_id)
        raise KeyboardInterrupt

    monkeypatch.setattr(pager, "post", killed)
    history = History(str(tmp_path / "history"))
    with pytest.raises(KeyboardInterrupt):
        Delivery(history, pager).deliver([due(sink="pagerduty", channel="pagerduty")])
    later = utc_now() + timedelta(hours=1)
    for _ in range(2):
        deliver(tmp_path, receiver, "pagerduty", clock=lambda: later)
    assert [event["event_action"] for event in sent(receiver)] == ["trigger", "resolve"]


def test_an_alert_that_is_still_open_is_not_ended(tmp_path: Path, receiver: Receiver) -> None:
    """The answer to its reminder was lost, and then the incident was acknowledged: the reminder is no longer due."""
    at = {"sink": "pagerduty", "channel": "pagerduty"}
    deliver(tmp_path, receiver, "pagerduty", due(**at))
    receiver.statuses = [503, 503]
    assert deliver(tmp_path, receiver, "pagerduty", due(**at, notification_id="r", event="reminder")).unknown == 1
    later = utc_now() + timedelta(hours=1)
    deliver(tmp_path, receiver, "pagerduty", clock=lambda: later)
    assert {event["event_action"] for event in sent(receiver)} == {"trigger"}


def test_an_alert_that_was_opened_again_is_not_ended(tmp_path: Path, receiver: Receiver) -> None:
    at = {"sink": "pagerduty", "channel": "pagerduty"}
    receiver.statuses = [503, 503]
    assert deliver(tmp_path, receiver, "pagerduty", due(**at, severity="warning")).unknown == 1
    assert deliver(tmp_path, receiver, "pagerduty", due(**at, notification_id="worse")).messages == 1
    later = utc_now() + timedelta(hours=1)
    deliver(tmp_path, receiver, "pagerduty", clock=lambda: later)
    assert {event["event_action"] for event in sent(receiver)} == {"trigger"}


def test_the_end_of_one_incident_comes_before_the_begin_of_the_next(tmp_path: Path, receiver: Receiver) -> None:
    at = {"sink": "pagerduty", "channel": "pagerduty"}
    again = due(**at, notification_id="again", started_at=datetime(2026, 1, 31, 10))
    deliver(tmp_path, receiver, "pagerduty", again, due(**at, **ENDED))
    assert [event["event_action"] for event in sent(receiver)] == ["resolve", "trigger"]


def test_a_withdrawal_that_is_refused_is_a_failure_once(tmp_path: Path, receiver: Receiver) -> None:
    at = {"sink": "pagerduty", "channel": "pagerduty"}
    receiver.statuses = [503, 503, 403]
    deliver(tmp_path, receiver, "pagerduty", due(**at))
    later = utc_now() + timedelta(hours=1)
    [failure] = deliver(tmp_path, receiver, "pagerduty", clock=lambda: later).failures
    assert "pagerduty answered 403" in str(failure)
    assert deliver(tmp_path, receiver, "pagerduty", clock=lambda: later + timedelta(hours=1)).failures == []


class Mailbox(socketserver.ThreadingTCPServer):
    """An SMTP server that keeps what it gets."""

    def __init__(self) -> None:
        self.mails: list[str] = []
        mails = self.mails

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(b"220 here\r\n")
                lines: list[str] | None = None
                for raw in self.rfile:
                    line = raw.decode().rstrip("\r\n")
                    if lines is not None and line == ".":
                        mails.append("\n".join(lines))
                        lines = None
                        self.wfile.write(b"250 kept\r\n")
                    elif lines is not None:
                        lines.append(line)
                    elif line.upper() == "DATA":
                        lines = []
                        self.wfile.write(b"354 go on\r\n")
                    else:
                        self.wfile.write(b"221 bye\r\n" if line.upper() == "QUIT" else b"250 fine\r\n")

        super().__init__(("127.0.0.1", 0), Handler)


def test_apprise_sends_e_mail(tmp_path: Path) -> None:
    with Mailbox() as mailbox:
        threading.Thread(target=mailbox.serve_forever, daemon=True).start()
        url = (
            f"mailto://127.0.0.1:{mailbox.server_address[1]}/?from=offdag@example.com&to=data@example.com&mode=insecure"
        )
        given = Settings.load({}, {"OFFDAG_APPRISE_URL_MAIL": url})
        sink = service("apprise", given)
        row = due(sink="apprise", channel="apprise:mail")
        outcome = Delivery(History(str(tmp_path / "history")), sink, pause=lambda _: None).deliver([row])
        mailbox.shutdown()
    assert outcome.messages == 1, outcome
    [mail] = mailbox.mails
    assert "Subject: FAILED in shop (prod): test unique on orders.id fails" in mail.replace("\n ", " ")
    assert "data@example.com" in mail
    assert url in given.secrets


def test_without_apprise_the_command_that_installs_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    sink = service("apprise", Settings.load({}, {"OFFDAG_APPRISE_URL": "json://127.0.0.1"}))
    [failure] = (
        Delivery(History(str(tmp_path / "history")), sink).deliver([due(sink="apprise", channel="apprise")]).failures
    )
    assert "pip install 'offdag[apprise]'" in str(failure)


def test_a_url_that_apprise_does_not_know_is_refused(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    sink = service("apprise", Settings.load({}, {"OFFDAG_APPRISE_URL": "nothing-that-exists://x"}))
    [failure] = (
        Delivery(History(str(tmp_path / "history")), sink).deliver([due(sink="apprise", channel="apprise")]).failures
    )
    assert "Apprise does not know the URL" in str(failure)
    assert "nothing-that-exists" not in f"{failure} {caplog.text} {capfd.readouterr()}"


@pytest.mark.parametrize(
    ("variable", "value"), [("OFFDAG_TEAMS_WEBHOOK_URL_X", "nowhere"), ("OFFDAG_OPSGENIE_API_KEY", "two words")]
)
def test_a_value_that_cannot_work_is_named_and_not_shown(variable: str, value: str) -> None:
    with pytest.raises(UsageError) as error:
        Settings.load({}, {variable: value})
    assert variable in str(error.value)
    assert value not in str(error.value)
